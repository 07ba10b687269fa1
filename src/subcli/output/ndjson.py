"""The view for scripts: one JSON object a line on stdout, and nothing else (contract, section 4).

Server events pass through with all their fields. Ours are ``submitted``, ``connection``, and one last line
per submission: ``result`` or ``error``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

import msgspec

from subcli.core.errors import SubcliError
from subcli.core.submission import Connection
from subcli.output.view import Ending, SnapshotSource, ViewEvent
from subcli.shared.protocol import encode

SCHEMA: Final = 1
"""Version of everything that ``--json`` prints; raised when a field changes its meaning or goes."""


class NdjsonView:
    """Writes each event as it comes.

    Args:
        stream: where to; one ``write`` a line.
        now: gives the present time as RFC 3339, for lines that the server did not stamp.
    """

    tick_s: float | None = None

    def __init__(self, stream: TextIO, now: Callable[[], str]) -> None:
        self._stream = stream
        self._now = now

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """First line of ``submit``: the id, and the page of the submission."""
        fields = {name: answer[name] for name in ("url", "status", "created_at") if answer.get(name) is not None}
        self._line("submitted", submission_id, {"url": None, **fields})

    def begin(self, source: SnapshotSource) -> None:
        """Nothing: the events say it all."""

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """One line."""
        if isinstance(event, Connection):
            self._line("connection", submission_id, event.fields())
            return
        raw = event.raw
        line: dict[str, Any] = {"schema": SCHEMA, **raw, "submission_id": submission_id}
        line["schema"] = SCHEMA
        if not isinstance(raw.get("timestamp"), str):
            line["timestamp"] = self._now()
        self._stream.write(encode(line) + "\n")

    def end(self, ending: Ending) -> None:
        """The last line of a submission."""
        verdict = ending.verdict
        if verdict is not None:
            summary = verdict.raw.get("summary")
            fields: dict[str, Any] = {
                "final_status": verdict.final_status,
                "summary": summary if isinstance(summary, dict) else msgspec.structs.asdict(verdict.summary),
                "exit_code": ending.exit_code,
            }
            self._line("result", ending.submission_id, fields)
        elif ending.error is not None:
            self._line("error", ending.submission_id, error_fields(ending.error, ending.exit_code))

    def tick(self) -> None:
        """Never asked for."""

    def flush(self) -> None:
        """Hand what was written to the reader."""
        self._stream.flush()

    def suspend(self) -> None:
        """Nothing: stdout belongs to the script."""

    def resume(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Hand the last line over."""
        self._stream.flush()

    def _line(self, kind: str, submission_id: int | None, fields: Mapping[str, Any]) -> None:
        line: dict[str, Any] = {"schema": SCHEMA, "type": kind, "timestamp": self._now()}
        if submission_id is not None:
            line["submission_id"] = submission_id
        line.update(fields)
        self._stream.write(encode(line) + "\n")


def error_fields(error: SubcliError, exit_code: int) -> dict[str, Any]:
    """An error as ``--json`` prints it."""
    return {
        "error": {"kind": error.kind, "message": error.message, "hint": error.hint},
        "exit_code": exit_code,
    }
