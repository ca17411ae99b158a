"""AWS emulators on loopback, without Docker: MiniStack from the project's venv, LocalStack from its own."""

import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from local.process import NotReady, Process

ROOT = Path(__file__).resolve().parent.parent
RESOURCES = ROOT / "localstack-init" / "create_resources.py"
LOCALSTACK_PYTHON = Path(os.environ.get("LOCALSTACK_VENV", ROOT / ".venv-localstack")) / "bin" / "python"


def start_emulator(name: str, port: int, folder: Path) -> Process:
    """Start `ministack` or `localstack` with its files in `folder`; return once it answers requests."""
    folder.mkdir(parents=True, exist_ok=True)
    process = {"ministack": _ministack, "localstack": _localstack}[name](port, folder)
    process.wait_until(lambda: answers_ok(f"http://127.0.0.1:{port}/_localstack/health"), 60)
    return process


def aws_environment(port: int) -> dict[str, str]:
    """Return the AWS_* variables for the emulator on this port."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",  # the only name that boto3 itself reads
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def create_resources(environment: dict[str, str]) -> None:
    """Run localstack-init/create_resources.py; raises NotReady with its error output if it fails."""
    done = subprocess.run(
        [sys.executable, RESOURCES],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NotReady(f"the topic and the queues could not be created\n{done.stderr.strip()}")


def answers_ok(url: str) -> bool:
    """Tell whether a GET of this loopback URL returns 200. Certificates are not verified."""
    unverified = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(url, timeout=2, context=unverified) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _ministack(port: int, folder: Path) -> Process:
    environment = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "sns,sqs",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
    }
    return Process(
        "ministack", [sys.executable, "-m", "ministack"], log_file=folder / "log", environment=environment
    )


def _localstack(port: int, folder: Path) -> Process:
    if not LOCALSTACK_PYTHON.exists():
        raise NotReady(
            f"LocalStack is not installed in {LOCALSTACK_PYTHON.parent.parent}: run make localstack"
        )
    environment = {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "SERVICES": "cloudformation,cloudwatch,iam,kms,sns,sqs,sts",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "LS_LOG": "warning",
        "FILESYSTEM_ROOT": str(folder),
        # Which it uses instead in a container, and clears in the end, also that of another LocalStack.
        "TMPDIR": str(folder),
    }
    return Process(
        "localstack",
        [str(LOCALSTACK_PYTHON), "-m", "localstack.runtime.main"],
        log_file=folder / "log",
        environment=environment,
    )
