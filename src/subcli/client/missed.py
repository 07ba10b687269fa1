"""Fetches missed events over REST. :mod:`subcli.core.catchup` interprets them."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple, Protocol

from subcli.client.api import EventLog, ServerInfo
from subcli.client.exchange import RequestFailed
from subcli.core.catchup import is_over
from subcli.core.inputs import RestFailed

OUTPUT_TIMEOUT_S: Final = 5.0
"""What is printed must not cost anybody the verdict."""

CATCH_UP_TIMEOUT_S: Final = 15.0
"""The limit for all requests of one catch-up together, however slowly their responses drip in."""


class Rest(Protocol):
    """The calls that catching up needs (:class:`subcli.client.api.Api`); each raises :class:`RequestFailed`.

    ``epoch`` is the name of the log that is followed. It may be that of an earlier run: the submission may be judged
    again before the end of its log was seen.
    """

    async def info(self) -> ServerInfo: ...
    async def submission(self, submission_id: int, epoch: str | None = None) -> dict[str, Any]: ...
    async def tests(self, submission_id: int, epoch: str | None = None) -> list[Any]: ...
    async def events(self, submission_id: int, after_seq: int, epoch: str | None = None) -> EventLog: ...
    async def output(self, submission_id: int, output_after: int, epoch: str | None = None) -> list[Any]: ...


class Fetched(NamedTuple):
    """What REST says about a submission.

    Attributes:
        info: about the server.
        snapshot: of the submission.
        tests: the last result of each test, if they are needed.
        log: the events after the last one seen; ``None`` from a server without a log.
        output: what was printed after the last piece seen.
    """

    info: ServerInfo
    snapshot: dict[str, Any]
    tests: list[Any]
    log: EventLog | None
    output: list[Any]


class FetchedLog(NamedTuple):
    """The events after the last one seen, and what was printed after the last piece seen."""

    log: EventLog
    output: list[Any]


async def fetch_missed(
    api: Rest, submission_id: int, after_seq: int, output_after: int | None = None, epoch: str | None = None
) -> Fetched:
    """Snapshot, results and log; the snapshot first, so that the others are at least as recent.

    Args:
        epoch: the name of the log that is followed, if it is known.
        output_after: the last piece of output seen; ``None``: none is wanted.

    Raises:
        RequestFailed: one of the requests failed, or all of them took too long.
    """
    try:
        async with asyncio.timeout(CATCH_UP_TIMEOUT_S):
            info = await api.info()
            snapshot = await api.submission(submission_id, epoch)
            log = await _log(api, submission_id, after_seq, epoch) if info.resume else None
            tests = await _tests(api, submission_id, snapshot, epoch) if log is None or is_over(snapshot) else []
            output = await _output(api, info, submission_id, output_after, epoch)
    except TimeoutError:
        raise RequestFailed(RestFailed(None, f"no answer within {CATCH_UP_TIMEOUT_S:g} s")) from None
    return Fetched(info, snapshot, tests, log, output)


async def fetch_hole(
    api: Rest, submission_id: int, after_seq: int, output_after: int | None = None, epoch: str | None = None
) -> FetchedLog | None:
    """The events after ``after_seq``, and the output beside them; ``None`` from a server without a log.

    Args:
        output_after, epoch: as for :func:`fetch_missed`.

    Raises:
        RequestFailed: one of the requests failed, or all of them took too long.
    """
    try:
        async with asyncio.timeout(CATCH_UP_TIMEOUT_S):
            info = await api.info()
            if not info.resume:
                return None
            log = await api.events(submission_id, after_seq, epoch)
            return FetchedLog(log, await _output(api, info, submission_id, output_after, epoch))
    except TimeoutError:
        raise RequestFailed(RestFailed(None, f"no answer within {CATCH_UP_TIMEOUT_S:g} s")) from None


async def _log(api: Rest, submission_id: int, after_seq: int, epoch: str | None) -> EventLog | None:
    """The log; ``None`` if the server has none: it has a snapshot, so the submission exists."""
    try:
        return await api.events(submission_id, after_seq, epoch)
    except RequestFailed as failed:
        if failed.status in (404, 405):
            return None
        raise


async def _output(
    api: Rest, info: ServerInfo, submission_id: int, output_after: int | None, epoch: str | None
) -> list[Any]:
    """What was printed; nothing if it cannot be read: the events count without it."""
    if output_after is None or not info.output:
        return []
    try:
        async with asyncio.timeout(OUTPUT_TIMEOUT_S):
            return await api.output(submission_id, output_after, epoch)
    except (RequestFailed, TimeoutError):
        return []


async def _tests(api: Rest, submission_id: int, snapshot: dict[str, Any], epoch: str | None) -> list[Any]:
    """The results, which some servers put into the snapshot."""
    inside = snapshot.get("tests", snapshot.get("test_results"))
    if isinstance(inside, list):
        return inside
    try:
        return await api.tests(submission_id, epoch)
    except RequestFailed as failed:
        if failed.status == 404:
            return []
        raise
