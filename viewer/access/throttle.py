"""Limiting how often a client may be wrong."""

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

# Beyond it, the client that tried longest ago is forgotten: an attacker who has so many addresses is not
# slowed by one more record.
MAX_CLIENTS = 10_000
IPV6_NETWORK_BITS = 64  # what one client is usually given


class Throttle:
    """Allows each client `burst` tries at once, and one more after every `seconds` ("leaky bucket")."""

    def __init__(self, burst: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with no client."""
        self._seconds, self._clock = seconds, clock
        self._tolerance = (burst - 1) * seconds
        self._lock = threading.Lock()
        # When the bucket of each client will be empty. Clients with an empty one are not kept.
        self._empty_at: OrderedDict[str, float] = OrderedDict()

    def take(self, client: str) -> float:
        """Use up a try of this client; return 0, or the seconds to wait if none is left."""
        client, now = _network(client), self._clock()
        with self._lock:
            empty_at = max(self._empty_at.get(client, now), now)
            wait = empty_at - now - self._tolerance
            if wait > 0:
                return wait
            self._empty_at[client] = empty_at + self._seconds
            self._empty_at.move_to_end(client)
            if len(self._empty_at) > MAX_CLIENTS:
                self._empty_at.popitem(last=False)
        return 0

    def give_back(self, client: str) -> None:
        """Return the try, because it was right."""
        client = _network(client)
        with self._lock:
            empty_at = self._empty_at.pop(client, 0) - self._seconds
            if empty_at > self._clock():
                self._empty_at[client] = empty_at


def _network(client: str) -> str:
    """Return what stands for this client: its address, or the network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv4Address):
        return client
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address.packed, IPV6_NETWORK_BITS), strict=False))
