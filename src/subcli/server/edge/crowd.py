"""Limits the connections of a process, in total and per network.

A process without free descriptors can neither accept connections nor open files. So there is a total limit, below the
process's own, and one for each network (an IPv4 address, an IPv6 /64). When the process is full, the connection that
has kept us waiting longest makes room for a new one: one that has not sent a whole request, is idle between two, or
does not read its response. So a client with a thousand half-open connections loses them; a client that sends its
request at once gets its response.
"""

from __future__ import annotations

import ipaddress
import logging
import resource
import time
from asyncio import Transport
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Final

from subcli.server.accounts.networks import network_of

_log: Final = logging.getLogger(__name__)
MAX_DESCRIPTORS: Final = 65_536
"""One process cannot use more."""
_RESERVE: Final = 256
"""Descriptors kept for files, the database, Redis and judges."""
_LARGEST_SHARE: Final = 0.5
"""of a network, however large `clients_address` is."""
_LOG_INTERVAL_S: Final = 60.0


def room_for_clients() -> int:
    """How many connections leave enough descriptors for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, MAX_DESCRIPTORS)
    return descriptors - min(_RESERVE, descriptors // 2)


class Crowd:
    """The connections of a process.

    Args:
        total: how many there may be.
        per_network: how many of one network.
        proxies: networks from which proxies connect, in addition to loopback; only the total counts for them.
    """

    def __init__(self, total: int, per_network: int, proxies: Sequence[str] = ()) -> None:
        self._total = total
        self._per_network = min(per_network, max(1, int(total * _LARGEST_SHARE)))
        self._proxies = [ipaddress.ip_network(each) for each in ("127.0.0.0/8", "::1", *proxies)]
        self._held: dict[Transport, str | None] = {}
        self._by_network: Counter[str] = Counter()
        self._waiting: OrderedDict[Transport, None] = OrderedDict()
        self._quiet_until = 0.0

    def __len__(self) -> int:
        """How many connections there are."""
        return len(self._held)

    def enter(self, transport: Transport, address: str | None) -> bool:
        """Admit a connection, which keeps us waiting until `is_served`.

        Args:
            address: of the peer; None if it has none, as over a Unix socket.

        Returns:
            whether there was room. Otherwise the caller closes it.
        """
        network = self.counted_network(address)
        if network is not None and self._by_network[network] >= self._per_network:
            self._complain("%s has %d connections; further ones are refused", network, self._per_network)
            return False
        if len(self._held) >= self._total and not self._make_room():
            return False
        self._held[transport] = network
        if network is not None:
            self._by_network[network] += 1
        self._waiting[transport] = None
        return True

    def network(self, transport: Transport) -> str | None:
        """The network of a connection; None if a proxy's."""
        return self._held.get(transport)

    def counted_network(self, address: str | None) -> str | None:
        """The network of an address; None if there is none, or it is a proxy's."""
        try:
            parsed = ipaddress.ip_address(address or "")
        except ValueError:
            return None
        if any(parsed.version == proxies.version and parsed in proxies for proxies in self._proxies):
            return None
        return network_of(str(parsed))

    def is_waited_for(self, transport: Transport) -> None:
        """It is the peer's turn to send or read something."""
        if transport in self._held:
            self._waiting.setdefault(transport)

    def is_served(self, transport: Transport) -> None:
        """It is our turn to do something."""
        self._waiting.pop(transport, None)

    def leave(self, transport: Transport) -> None:
        """A connection has ended. Does nothing if it was not admitted."""
        self._waiting.pop(transport, None)
        network = self._held.pop(transport, None)
        if network is not None:
            self._by_network[network] -= 1
            if not self._by_network[network]:
                del self._by_network[network]

    def _make_room(self) -> bool:
        self._complain("there are %d connections; those that send nothing are closed", self._total)
        if not self._waiting:
            return False
        transport, _ = self._waiting.popitem(last=False)
        self.leave(transport)
        transport.abort()
        return True

    def _complain(self, message: str, *arguments: object) -> None:
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _LOG_INTERVAL_S
            _log.warning(message, *arguments)
