"""Tells open sockets that their session has ended, or their access token or link, or that their user's role changed.

A logout, `subcli user disable` and the reuse of a refresh token end sessions in the database, on any gateway or in no
server at all. So each gateway asks the database, for all its sockets together. It needs no bus.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from sqlalchemy.exc import SQLAlchemyError

from subcli.server.accounts.accounts import Accounts
from subcli.server.accounts.permissions import Role
from subcli.server.log.store import Store

_log: Final = logging.getLogger(__name__)
_PER_QUERY: Final = 500


class OpenSessions:
    """The sessions of this gateway's open sockets.

    Args:
        interval_s: how often the database is asked.
    """

    def __init__(self, store: Store, accounts: Accounts, interval_s: float) -> None:
        self._store = store
        self._accounts = accounts
        self._interval_s = interval_s
        self._watching: dict[str, dict[Callable[[], object], Role]] = {}

    @contextmanager
    def watched(self, session_id: str, ended: Callable[[], object], role: Role = Role.STUDENT) -> Iterator[None]:
        """While the context is open, `ended` is called once the session has ended or its user has another role."""
        self._watching.setdefault(session_id, {})[ended] = role
        try:
            yield
        finally:
            self._watching[session_id].pop(ended)
            if not self._watching[session_id]:
                del self._watching[session_id]

    async def run(self) -> NoReturn:
        """Check for ended sessions until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.check()
            except SQLAlchemyError as error:
                # Sockets stay open meanwhile: without the database there are no new events anyway.
                _log.warning("the sessions of open sockets cannot be checked: %s", getattr(error, "orig", error))

    async def check(self) -> None:
        """Tell the sockets of sessions that have ended."""
        ids = list(self._watching)
        for start in range(0, len(ids), _PER_QUERY):
            chunk = ids[start : start + _PER_QUERY]
            still_open = await self._store.run(self._accounts.open_among, chunk)
            for session_id in chunk:
                now = still_open.get(session_id)
                for ended, role in list(self._watching.get(session_id, {}).items()):
                    if role is not now:
                        ended()
