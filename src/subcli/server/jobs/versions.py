"""Keeps the problems of a process up to date: those of its directories, and the versions that submissions need.

Every process looks at its directories again and again. One that accepts submissions stores the version of each, once
(`Versions.stored`); one that judges fetches from the database what a waiting submission needs and is not here. All
work on files is done by one thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from subcli.judge.manifest import ManifestError
from subcli.judge.problem import Problem, ProblemError, versioned
from subcli.judge.shelf import Shelf
from subcli.server.log.packages import StoredVersion
from subcli.server.log.store import Store
from subcli.server.observe.tasks import log_and_continue

P = ParamSpec("P")
T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
LOOK_S: Final = 2.0
"""How often directories of problems are looked at,"""
_LOOK_SHARE: Final = 20
"""or less often: a look may take this part of the time at most."""
_RETRY_S: Final = 60.0
"""When a version that could not be fetched is tried again."""
_MB: Final = 1024 * 1024


class Versions:
    """The versions of problems in one process.

    Args:
        shelf: where they are.
        store: the database.
        most_mb: how large a version may be that is stored or fetched,
        cache_mb: and how much space those take that are not in service.
        clock: seconds.
    """

    def __init__(
        self, shelf: Shelf, store: Store, most_mb: int, cache_mb: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.shelf = shelf
        self._store = store
        self._most_bytes = most_mb * _MB
        self._cache_bytes = cache_mb * _MB
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="problems")
        self._is_stored: set[str] = set()
        self._not_storable: set[str] = set()
        self._failed: dict[str, tuple[str, float]] = {}
        """Why versions could not be fetched, and when."""
        self._said = ""
        """Why the directories could not be looked at the last time."""
        self._storing = asyncio.Lock()
        self._fetching: asyncio.Task[None] | None = None
        self._is_ending = False

    async def run(self) -> None:
        """Look at the directories until cancelled."""
        try:
            while True:
                began = self._clock()
                with log_and_continue("looking for changed problems"):
                    await self.look()
                await asyncio.sleep(max(LOOK_S, _LOOK_SHARE * (self._clock() - began)))
        finally:
            self._is_ending = True
            if self._fetching is not None:
                self._fetching.cancel()
            self._thread.shutdown(cancel_futures=True)

    async def _do(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(call, *args, **kwargs))

    async def look(self) -> None:
        """Look at the directories once, and log what has changed."""
        shelf = self.shelf
        before, complaints, remarks = dict(shelf.problems.items()), shelf.broken, shelf.remarks
        try:
            if not await self._do(shelf.look):
                return
        except (ProblemError, OSError) as error:
            if str(error) != self._said:
                _log.warning("changed problems cannot be looked for: %s; those in service stay", error)
            self._said = str(error)
            return
        self._said = ""
        _log_changes(before, dict(shelf.problems.items()))
        for complaint in _new(shelf.broken, complaints):
            _log.warning("not in service as it is now: %s", complaint)
        for remark in _new(shelf.remarks, remarks):
            _log.warning("of the problems, %s", remark)

    # -- storing -------------------------------------------------------------------------------------

    async def stored(self, problem: Problem) -> str | None:
        """Store the version of a problem that is in service, if it is not stored.

        Returns:
            its name; None if it cannot be stored.
        """
        version = problem.version
        if not version or version in self._not_storable:
            return None
        if version not in self._is_stored:
            async with self._storing:
                if not await self._put(problem):
                    return None
        return version

    async def _put(self, problem: Problem) -> bool:
        version, manifest = problem.version, self.shelf.manifest(problem.version)
        if version in self._is_stored:
            return True
        complaint = "it is no longer here" if manifest is None else manifest.complaint
        if manifest is not None and manifest.size > self._most_bytes:
            complaint = f"its files have {manifest.size // _MB} MB, more than {self._most_bytes // _MB}"
        try:
            if manifest is not None and not complaint:
                place = self.shelf.place(version)
                await self._store.run(self._store.packages.put, problem.slug, problem.id, manifest, place)
                self._is_stored.add(version)
                return True
        except (ManifestError, OSError) as error:
            complaint = str(error)
        self._not_storable.add(version)
        _log.warning(
            "%s %s cannot be stored: %s; workers judge it by their own copies", problem.slug, version[:12], complaint
        )
        return False

    def is_gone(self, version: str) -> None:
        """It is no longer stored, as after a restored backup."""
        self._is_stored.discard(version)

    # -- fetching ------------------------------------------------------------------------------------

    async def fetch_missing(self, on_fetched: Callable[[], Awaitable[None]]) -> bool:
        """Begin to fetch the versions that waiting submissions need and that are not here.

        Args:
            on_fetched: called when there is something new.

        Returns:
            whether something is being fetched.
        """
        wanted = await self._store.run(self._store.packages.wanted)
        if self._fetching is not None and not self._fetching.done():
            return True
        missing = [each for each in wanted if self.shelf.manifest(each.version) is None and not self._is_hopeless(each)]
        if not missing:
            await self._tidy([each.version for each in wanted])
            return False
        self._fetching = asyncio.create_task(self._fetch(missing, on_fetched))
        return True

    def _is_hopeless(self, wanted: StoredVersion) -> bool:
        failed = self._failed.get(wanted.version)
        return failed is not None and self._clock() - failed[1] < _RETRY_S

    async def _fetch(self, missing: Collection[StoredVersion], on_fetched: Callable[[], Awaitable[None]]) -> None:
        packages = self._store.packages
        for each in missing:
            name = versioned(each.problem, each.version[:12])
            try:
                manifest = await self._store.run(packages.manifest, each.version)
                await self._do(self.shelf.add, each.version, manifest, self._chunk, self._most_bytes)
            except Exception as error:
                # Whatever is wrong with one version must not keep the others from being fetched.
                if self._failed.get(each.version, ("", 0.0))[0] != str(error):
                    _log.warning("%s cannot be fetched from the database: %s", name, error)
                self._failed[each.version] = str(error), self._clock()
            else:
                self._failed.pop(each.version, None)
                _log.info("%s was fetched from the database", name)
                await on_fetched()

    def _chunk(self, digest: str) -> bytes:
        """A chunk from the database, as long as this process wants any.

        Raises:
            ManifestError: it is not there, or the process is ending.
        """
        if self._is_ending:
            raise ManifestError("this process is ending")
        return self._store.packages.chunk(digest)

    async def _tidy(self, needed: Collection[str]) -> None:
        if removed := await self._do(self.shelf.tidy, needed, self._cache_bytes):
            _log.info("versions of problems removed that nobody needs: %d", removed)


def _log_changes(before: Mapping[str, Problem], now: Mapping[str, Problem]) -> None:
    for slug in sorted(now.keys() - before.keys()):
        _log.warning("%s is in service, version %s", slug, now[slug].version[:12])
    for slug in sorted(before.keys() - now.keys()):
        _log.warning("%s is retired", slug)
    for slug in sorted(now.keys() & before.keys()):
        if now[slug].version != before[slug].version:
            _log.warning(
                "%s is in service, version %s instead of %s", slug, now[slug].version[:12], before[slug].version[:12]
            )


def _new(now: Collection[T], before: Collection[T]) -> list[T]:
    """What is among these, but was not before, by what it says."""
    known = {str(each) for each in before}
    return [each for each in now if str(each) not in known]
