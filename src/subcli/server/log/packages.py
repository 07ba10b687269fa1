"""Versions of problems in the database, so that every worker can judge what any gateway has accepted.

A version is stored when somebody first submits to it: its manifest (`subcli.judge.manifest`), and the chunks of its
files that are not there yet, compressed. It counts as stored once it is complete. It is kept for as long as there is a
submission to it. Whoever deletes versions locks the queue, as whoever submits does, so no submission refers to one that
is being deleted; and a lock of their own keeps those who store and those who delete chunks apart.

The methods block.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, Select, delete, insert, select, text, update

from subcli.judge.manifest import CHUNK_BYTES, Manifest, ManifestError, read_chunks
from subcli.server.log.database import has_rows, lock_queue, reading
from subcli.server.log.tables import problem_chunks, problem_versions, submissions

_LOCK: Final = 0x73756266
"""The advisory lock of those who store or delete chunks."""
_BATCH: Final = 8
"""How many chunks a transaction stores: a writer must not keep the others waiting."""
_IDS_PER_QUERY: Final = 500
_MOST_MANIFEST_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version that is stored."""

    version: str
    problem: str


class Packages:
    """Stores versions of problems and reads them.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
        clock: Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._read = reading(engine)
        self._write = engine
        self._clock = clock

    def put(self, problem: str, number: int, manifest: Manifest, root: Path) -> None:
        """Store a version, if it is not stored.

        Args:
            problem: its slug.
            number: its id.
            manifest: what it consists of.
            root: the directory that it is in.

        Raises:
            ManifestError: its files have changed.
            OSError: its files cannot be read.
        """
        version = manifest.version
        if has_rows(self._read, _ready(version)):
            return
        with self._write.begin() as connection:
            _lock(connection)
            # From here on, its chunks are not deleted. Somebody who died may have begun.
            begun = (
                update(problem_versions).where(problem_versions.c.version == version).values(created_at=self._clock())
            )
            if not connection.execute(begun).rowcount:
                packed = zlib.compress(manifest.encode())
                row = {"version": version, "problem": problem, "number": number, "manifest": packed}
                connection.execute(insert(problem_versions).values(**row, ready=False, created_at=self._clock()))
        for batch in _batches(read_chunks(manifest, root, self._missing(manifest.chunks))):
            with self._write.begin() as connection:
                _lock(connection)
                there = _there(connection, [name for name, _ in batch])
                rows = [{"digest": name, "data": zlib.compress(chunk)} for name, chunk in batch if name not in there]
                if rows:
                    connection.execute(insert(problem_chunks), rows)
        with self._write.begin() as connection:
            _lock(connection)
            connection.execute(update(problem_versions).where(problem_versions.c.version == version).values(ready=True))

    def _missing(self, chunks: Collection[str]) -> set[str]:
        wanted = sorted(chunks)
        missing = set(wanted)
        with self._read.begin() as connection:
            for start in range(0, len(wanted), _IDS_PER_QUERY):
                missing -= _there(connection, wanted[start : start + _IDS_PER_QUERY])
        return missing

    def manifest(self, version: str) -> Manifest:
        """Return what a version consists of.

        Raises:
            ManifestError: it is not stored, or damaged.
        """
        query = select(problem_versions.c.manifest).where(
            problem_versions.c.version == version, problem_versions.c.ready
        )
        with self._read.begin() as connection:
            packed = connection.execute(query).scalar_one_or_none()
        if packed is None:
            raise ManifestError("it is not in the database")
        return Manifest.decode(_unpacked(packed, _MOST_MANIFEST_BYTES))

    def chunk(self, digest: str) -> bytes:
        """Return a chunk. The caller compares it with its digest.

        Raises:
            ManifestError: it is not stored, or damaged.
        """
        query = select(problem_chunks.c.data).where(problem_chunks.c.digest == digest)
        with self._read.begin() as connection:
            packed = connection.execute(query).scalar_one_or_none()
        if packed is None:
            raise ManifestError("a part of it is not in the database")
        return _unpacked(packed, CHUNK_BYTES)

    def wanted(self) -> list[StoredVersion]:
        """Return the versions of all submissions that have no verdict."""
        has_submission = (
            select(submissions.c.id)
            .where(submissions.c.problem_version == problem_versions.c.version, submissions.c.final_status.is_(None))
            .exists()
        )
        query = select(problem_versions.c.version, problem_versions.c.problem).where(
            problem_versions.c.ready, has_submission
        )
        with self._read.begin() as connection:
            return [StoredVersion(*row) for row in connection.execute(query)]

    def slug(self, number: int) -> str | None:
        """Return the slug of a problem that had this id, the latest if there were several; None if none is known."""
        query = select(problem_versions.c.problem).where(problem_versions.c.number == number)
        with self._read.begin() as connection:
            return connection.execute(
                query.order_by(problem_versions.c.created_at.desc()).limit(1)
            ).scalar_one_or_none()

    def delete_unused(self, keep_s: float) -> int:
        """Delete versions that no submission refers to, if they were stored at least `keep_s` seconds ago.

        Returns:
            how many versions were deleted.
        """
        unused = self._unused(keep_s)
        query = select(problem_versions.c.version).where(*unused)
        if not has_rows(self._read, query):
            return 0
        with self._write.begin() as connection:
            lock_queue(connection)
            _lock(connection)
            count = connection.execute(delete(problem_versions).where(*unused)).rowcount
            kept: set[str] = set()
            for packed in connection.execute(select(problem_versions.c.manifest)).scalars():
                kept |= Manifest.decode(_unpacked(packed, _MOST_MANIFEST_BYTES)).chunks
            every = connection.execute(select(problem_chunks.c.digest)).scalars().all()
            gone = [digest for digest in every if digest not in kept]
            for start in range(0, len(gone), _IDS_PER_QUERY):
                batch = gone[start : start + _IDS_PER_QUERY]
                connection.execute(delete(problem_chunks).where(problem_chunks.c.digest.in_(batch)))
        return count

    def _unused(self, keep_s: float) -> tuple[ColumnElement[bool], ...]:
        referred = select(submissions.c.id).where(submissions.c.problem_version == problem_versions.c.version).exists()
        return problem_versions.c.created_at <= self._clock() - keep_s, ~referred


def is_stored(connection: Connection, version: str) -> bool:
    """Whether a version is stored, within the transaction of a submission, which has locked the queue."""
    return connection.execute(_ready(version)).first() is not None


def _ready(version: str) -> Select[str]:
    return select(problem_versions.c.version).where(problem_versions.c.version == version, problem_versions.c.ready)


def _there(connection: Connection, digests: Collection[str]) -> set[str]:
    query = select(problem_chunks.c.digest).where(problem_chunks.c.digest.in_(digests))
    return set(connection.execute(query).scalars())


def _lock(connection: Connection) -> None:
    """Lock chunks until the end of the transaction. SQLite's write lock includes this."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _batches(chunks: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    batch: list[tuple[str, bytes]] = []
    for chunk in chunks:
        batch.append(chunk)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _unpacked(packed: bytes, most_bytes: int) -> bytes:
    """
    Raises:
        ManifestError: it is damaged, or longer than it may be.
    """
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(packed, most_bytes + 1)
    except zlib.error as error:
        raise ManifestError(f"it is damaged: {error}") from None
    if len(data) > most_bytes or not unpacking.eof:
        raise ManifestError("it is damaged, or too large")
    return data
