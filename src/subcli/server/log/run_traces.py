"""The traces of failed tests, beside the log: too long for its events, and asked for by few."""

from __future__ import annotations

import hashlib
from typing import Final

from sqlalchemy import ColumnElement, Engine, delete, insert, not_, select

from subcli.server.log.appending import held
from subcli.server.log.database import reading
from subcli.server.log.records import Claim
from subcli.server.log.tables import run_traces, submissions

_KEY_CHARS: Final = 32
_OF_RUN: Final = "r"
"""How the keys of runs before the latest begin. Those of the latest are hexadecimal."""


class RunTraces:
    """The packed traces (`subcli.shared.run_trace`) by submission and test. The methods block.

    Args:
        engine: a database with the schema of `subcli.server.log.tables`.
    """

    def __init__(self, engine: Engine) -> None:
        self._read = reading(engine)
        self._write = engine

    def put(self, claim: Claim, test_id: str, packed: bytes) -> None:
        """Keep the trace of a test, in place of that of an earlier attempt.

        Raises:
            EndedError: the submission has its verdict.
            StaleFenceError: it is another worker's now.
        """
        row = {"submission_id": claim.submission_id, "test": _key(test_id)}
        with self._write.begin() as connection:
            held(connection, claim)
            connection.execute(delete(run_traces).where(*(run_traces.c[name] == value for name, value in row.items())))
            connection.execute(insert(run_traces).values(packed=packed, **row))

    def get(self, submission_id: int, test_id: str, run: int) -> bytes | None:
        """Return the packed trace of a test in a run; None if there is none.

        The caller knows whose submission it is.
        """
        latest = select(submissions.c.run).where(submissions.c.id == submission_id)
        key = _key(test_id)
        with self._read.begin() as connection:
            if connection.execute(latest).scalar_one_or_none() != run:
                key = key_of_run(key, run)
            query = select(run_traces.c.packed).where(
                run_traces.c.submission_id == submission_id, run_traces.c.test == key
            )
            return connection.execute(query).scalar_one_or_none()


def key_of_run(key: str, run: int) -> str:
    """The key of a trace once another run has followed its own."""
    return f"{_OF_RUN}{run}-{key}"[:_KEY_CHARS]


def keys_of_latest() -> ColumnElement[bool]:
    """The condition that a trace is of its submission's latest run."""
    return not_(run_traces.c.test.startswith(_OF_RUN))


def _key(test_id: str) -> str:
    """A key of bounded length: ids are as long as the author of a test likes."""
    return hashlib.sha256(test_id.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_CHARS]
