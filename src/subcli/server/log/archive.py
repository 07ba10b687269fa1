"""Runs that a later one has followed, as they were kept (`subcli.server.log.runs`): read only."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from subcli.server.log.records import EventPage, Record, Run, Snapshot, record
from subcli.server.log.tables import runs

_PAGE_BYTES: Final = 512 * 1024
_NAME: Final = re.compile(r"[0-9a-f]{1,32}\Z", re.ASCII)
"""What the names of logs look like. Clients send others as well, which no database is asked for."""
_ENTRY: Final = [runs.c[name] for name in Run.__dataclass_fields__]


def packed(texts: Iterable[str]) -> bytes:
    """A log as it is kept. An event has no line break: it is JSON on one line."""
    return zlib.compress("\n".join(texts).encode("utf-8", "surrogatepass"))


def unpacked(log: bytes) -> list[str]:
    """The events that were packed."""
    text = zlib.decompress(log).decode("utf-8", "surrogatepass")
    return text.split("\n") if text else []


def kept_page(connection: Connection, submission_id: int, after: int, limit: int, epoch: str) -> EventPage | None:
    """A part of the log with this name, if it was kept."""
    if not _NAME.match(epoch):
        return None
    query = select(runs.c.log, runs.c.last_seq).where(runs.c.submission_id == submission_id, runs.c.epoch == epoch)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    found: list[Record] = []
    size = 0
    for seq, text in enumerate(unpacked(row.log)[after:], after + 1):
        if len(found) == limit or size > _PAGE_BYTES:
            break
        found.append(record(seq, text, last=seq == row.last_seq, epoch=epoch))
        size += len(text)
    end = found[-1].seq if found else max(after, row.last_seq)
    return EventPage(tuple(found), end < row.last_seq, True, row.last_seq, epoch, is_kept=True)


def is_kept(connection: Connection, submission_id: int, epoch: str) -> bool:
    """Whether the log with this name was kept."""
    if not _NAME.match(epoch):
        return False
    query = select(runs.c.run).where(runs.c.submission_id == submission_id, runs.c.epoch == epoch)
    return connection.execute(query).first() is not None


def kept_texts(connection: Connection, submission_id: int, run: int) -> list[str] | None:
    """All events of a run, if it was kept."""
    query = select(runs.c.log).where(runs.c.submission_id == submission_id, runs.c.run == run)
    log = connection.execute(query).scalar_one_or_none()
    return None if log is None else unpacked(log)


def kept_snapshot(
    connection: Connection, latest: Snapshot, *, run: int | None = None, epoch: str | None = None
) -> Snapshot | None:
    """A submission as it was at the end of a run, by its number or the name of its log; None if that was not kept."""
    if run is None and not _NAME.match(epoch or ""):
        return None
    query = select(runs).where(runs.c.submission_id == latest.id)
    query = query.where(runs.c.epoch == epoch if run is None else runs.c.run == run)
    row = connection.execute(query).one_or_none()
    return None if row is None else _in_place(latest, row)


def _in_place(latest: Snapshot, row: Row[Any]) -> Snapshot:
    names = ("status", "final_status", "summary", "build_log", "total_tests", "attempt", "finished_at", "last_seq")
    values = {name: getattr(row, name) for name in (*names, "run", "epoch", "problem_version")}
    return replace(latest, run_asked_at=row.asked_at, **values)


def kept_runs(connection: Connection, submission_id: int) -> Sequence[Run]:
    """The runs of a submission before its latest, oldest first."""
    query = select(*_ENTRY).where(runs.c.submission_id == submission_id).order_by(runs.c.run)
    return [Run(*row) for row in connection.execute(query)]
