"""The viewer's wiring: settings and logs in gunicorn's master process, everything else in its worker.

One gevent worker holds thousands of open streams: each is a greenlet of some kilobytes, where a thread would
take a megabyte. gevent replaces the blocking calls of the standard library when the worker starts, so modules
that use them (psycopg, boto3, flask) are imported only then, in `load`.
"""

import logging
import resource
import signal
import ssl
import threading
from typing import Any

from gunicorn.app.base import BaseApplication

from pipeline.logs import set_up_logging
from pipeline.settings import load_settings
from viewer.server.worker import MAX_PROBES, MAX_WAITING, ssl_context
from viewer.settings import ViewerSettings

AWS_TIMEOUT_SECONDS = 5
FILES_BESIDE_CONNECTIONS = 100 + MAX_WAITING + 2 * MAX_PROBES
# Longer than a busy machine keeps this process waiting: a browser that was hung up on would lack a script.
HEAD_SECONDS = 10
REQUESTS_BESIDE_STREAMS = 100  # of one client

log = logging.getLogger("viewer")


class Viewer(BaseApplication):
    """The viewer under gunicorn."""

    def __init__(self, settings: ViewerSettings) -> None:
        """Keep the settings. `run` starts the server and does not return."""
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set the options of gunicorn."""
        options = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "worker_class": "viewer.server.worker.Worker",
            "workers": 1,
            "worker_connections": self._settings.max_connections,
            "graceful_timeout": 3,
            # How long a client may take for the head of its next request, the first one included.
            "keepalive": HEAD_SECONDS,
            # Otherwise a client on this machine could set SCRIPT_NAME.
            "forwarder_headers": "",
            "post_worker_init": self._set_up_worker,
            "logger_class": "viewer.server.gunicorn_logging.GunicornLogger",
            "control_socket_disable": True,
            "forwarded_allow_ips": ",".join(self._settings.trusted_proxies),
        }
        if self._settings.tls_certfile:
            options["certfile"] = str(self._settings.tls_certfile)
            options["keyfile"] = str(self._settings.tls_keyfile)
            options["ssl_context"] = ssl_context
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Wire the application, in the worker."""
        from pipeline.aws import Topic, sns_client, sqs_client
        from pipeline.health import Health
        from pipeline.store.dead_letters import FailureReader
        from pipeline.store.migrate import check_schema
        from pipeline.store.reader import Reader
        from viewer.app import create_app
        from viewer.aws.queue_inspection import Queues
        from viewer.aws.reconciliation import reconcile_until_stopped
        from viewer.aws.topology_keeper import TopologyKeeper
        from viewer.databases import open_databases
        from viewer.live.hub import Hub
        from viewer.live.matcher import Matcher
        from viewer.live.sampler import Sampler
        from viewer.live.samples import Samples
        from viewer.live.tail import Tail

        settings = self._settings
        stop = threading.Event()
        databases = open_databases(settings.database_url.get_secret_value())
        database, reader = databases.store, Reader(databases.store, databases.searches)
        sqs = sqs_client(AWS_TIMEOUT_SECONDS)
        topic = Topic(sns_client(AWS_TIMEOUT_SECONDS), settings.topic_name)
        # Publishing needs AWS, but what is stored can be seen without it.
        health = Health(settings.stall_seconds, checks={"database": lambda: check_schema(database)})
        hub = Hub(reader, stop, settings.heartbeat_seconds)
        tail = Tail(
            database,
            reader,
            hub,
            stop=stop,
            beat=lambda: health.beat("tail"),
            queue_name=settings.queue_name,
        )
        queues = Queues(sqs, settings.queue_name)
        topology = TopologyKeeper(sns_client(AWS_TIMEOUT_SECONDS), sqs_client(AWS_TIMEOUT_SECONDS), stop)
        sampler = Sampler(Samples(database), queues, stop)
        failures = FailureReader(database)
        threading.Thread(target=tail.run, name="tail", daemon=True).start()
        for scanning in (False, True):
            matcher = Matcher(databases.matching, hub, stop, scanning=scanning)
            threading.Thread(target=matcher.run, name="matcher", daemon=True).start()
        threading.Thread(target=sampler.run, name="sampler", daemon=True).start()
        threading.Thread(target=topology.run, name="topology", daemon=True).start()
        threading.Thread(
            target=reconcile_until_stopped, args=[sqs, failures, stop], name="reconciler", daemon=True
        ).start()
        self._tail, self._health = tail, health
        return create_app(
            database,
            reader,
            topic,
            sqs,
            topology=topology,
            hub=hub,
            tail=tail,
            health=health,
            settings=settings,
            stop=stop,
        )

    def _set_up_worker(self, worker: Any) -> None:
        """Set how this worker stops, and which errors it ignores."""
        import gevent

        # Behind a proxy, the address of a client is not that of its connection.
        if not self._settings.trusted_proxies:
            worker.max_per_client = self._settings.max_streams_per_client + REQUESTS_BESIDE_STREAMS

        def stop() -> None:
            # Open streams end by themselves; gunicorn would only wait for them.
            self._health.drain()
            self._tail.stop()
            worker.alive = False
            # Otherwise a connection would be kept open after its stream has ended.
            worker.cfg.set("keepalive", 0)

        gevent.signal_handler(signal.SIGTERM, stop)
        # A client that speaks no TLS, or hangs up in the handshake, is not worth a traceback.
        gevent.get_hub().NOT_ERROR += (ssl.SSLError,)


def main() -> None:
    """Run the viewer until SIGTERM or SIGINT."""
    settings = load_settings(ViewerSettings)
    set_up_logging("viewer", settings)
    log.info("started", extra={"settings": settings.model_dump(mode="json")})
    _allow_files(settings.max_connections + FILES_BESIDE_CONNECTIONS)
    Viewer(settings).run()


def _allow_files(count: int) -> None:
    """Raise the limit of open files, often 1,024, to `count` or as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


if __name__ == "__main__":
    main()
