"""Whose turn a request counts as (`edge.turns`), which has to be known before it is parsed.

A valid token counts, wherever it comes from; otherwise the network, which a proxy says. Nothing else is decided by
this, and only a token that we have signed, or have seen to be valid, makes a request another client's: reading a head
otherwise than the parser does costs somebody a turn at most.
"""

from __future__ import annotations

import re
from asyncio import Transport
from collections.abc import Callable, Hashable
from typing import Final

from subcli.server.edge.crowd import Crowd
from subcli.server.edge.turns import User

_LONGEST_HEAD_BYTES: Final = 8 * 1024
"""Longer ones are not looked at: nobody has paid for that yet."""
_HEAD_END: Final = b"\r\n\r\n"
_TOKEN: Final = re.compile(
    rb"\A[A-Z]+ [^ ]*[?&]token=([\w.-]+)"
    rb"|\r\nauthorization:[ \t]*bearer[ \t]+([\w.-]+)"
    rb"|\r\ncookie:[^\r]*?subcli_session(?:_[0-9]{1,5})?=([\w.-]+)",
    re.IGNORECASE,
)
_FORWARDED: Final = re.compile(rb"\r\nx-forwarded-for:([^\r]*)", re.IGNORECASE)
_MANY_PROXIES: Final = 8


class Clients:
    """Finds the clients that requests are counted for.

    Args:
        crowd: the connections on which they come.
        identify: returns whose a token is, None if it is not valid (`Identities.counts_as`).
    """

    def __init__(self, crowd: Crowd, identify: Callable[[str], str | None]) -> None:
        self._crowd = crowd
        self._identify = identify

    def of(self, data: bytes, transport: Transport) -> Hashable:
        """The client of a request: a `User`, a network, or the connection if nothing else is known.

        Args:
            data: what has arrived of it.
        """
        head, end, _ = data[:_LONGEST_HEAD_BYTES].partition(_HEAD_END)
        if end and (token := _TOKEN.search(head)) is not None:
            key = self._identify(token[token.lastindex or 0].decode("ascii", "replace"))
            if key is not None:
                return User(key)
        return self._crowd.network(transport) or self._forwarded(head if end else b"") or transport

    def _forwarded(self, head: bytes) -> str | None:
        """The network for which a proxy has sent this, as uvicorn finds it for everything else."""
        values = _FORWARDED.findall(head)
        if not values:
            return None
        addresses = values[-1].decode("ascii", "replace").rsplit(",", _MANY_PROXIES)
        networks = (self._crowd.counted_network(each.strip()) for each in reversed(addresses))
        return next((each for each in networks if each is not None), None)
