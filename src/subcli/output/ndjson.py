"""The view for scripts: one JSON object per line on stdout, and nothing else (contract, section 4).

Server events pass through with all their fields. Our own lines are ``submitted``, ``connection``, and one last line per
submission: ``result`` or ``error``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TextIO

import msgspec

from subcli.core.errors import SubcliError
from subcli.core.submission import Connection
from subcli.output.view import Ending, NullView, ViewEvent
from subcli.shared.encoding import encode_any
from subcli.shared.messages import Message, StatusUpdate, TestResult

SCHEMA_VERSION: Final = 1
"""Version of everything that ``--json`` prints; raised when a field changes its meaning or is removed."""

_FLAT: Final = frozenset((StatusUpdate, TestResult))
"""Events whose fields are None where they are missing."""
_values: Final = msgspec.structs.astuple
_NAME_END: Final = re.compile('" *:')
_BEGINNING: Final = f'{{"schema":{SCHEMA_VERSION},'


class NdjsonView(NullView):
    """Writes each event as it arrives.

    Args:
        stream: Where to write when the view is flushed.
        now: Returns the current time as RFC 3339, for lines without a timestamp of the server.
    """

    def __init__(self, stream: TextIO, now: Callable[[], str]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._now = now

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Write the first line of ``submit``: the id and the address of the submission's page."""
        fields = {
            name: answer[name] for name in ("url", "status", "created_at", "epoch") if answer.get(name) is not None
        }
        self._line("submitted", submission_id, {"url": None, **fields})

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """Write an event with all its fields, or a change of the connection."""
        if isinstance(event, Connection):
            self._line("connection", submission_id, event.fields())
            return
        text = event.frame
        is_whole = event.submission_id == submission_id and event.timestamp is not None
        if text is not None and is_whole and not _has_a_name_twice(event, text):
            # Each character of it is visible and stands for itself: the line is the message, with our field added.
            self._lines.append(_BEGINNING + text[1:])
            return
        raw = event.raw
        line: dict[str, Any] = {"schema": SCHEMA_VERSION, **raw, "submission_id": submission_id}
        line["schema"] = SCHEMA_VERSION
        if not isinstance(raw.get("timestamp"), str):
            line["timestamp"] = self._now()
        self._lines.append(encode_any(line))

    def end(self, ending: Ending) -> None:
        """Write the last line of a submission."""
        verdict = ending.verdict
        if verdict is not None:
            summary = verdict.raw.get("summary")
            counts = msgspec.structs.asdict(verdict.summary)
            for name in ("score", "max_score", "pass_score", "groups"):
                # Points and groups exist only if the server sends them.
                if not counts[name]:
                    del counts[name]
            fields: dict[str, Any] = {
                "final_status": verdict.final_status,
                "summary": summary if isinstance(summary, dict) else counts,
                "exit_code": ending.exit_code,
            }
            if verdict.compared_to is not None:
                fields["compared_to"] = verdict.raw["compared_to"]
            self._line("result", ending.submission_id, fields)
        elif ending.error is not None:
            self._line("error", ending.submission_id, error_fields(ending.error, ending.exit_code))

    def flush(self) -> None:
        """Pass the lines so far on to the reader."""
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Pass the last line on."""
        self.flush()

    def _line(self, kind: str, submission_id: int | None, fields: Mapping[str, Any]) -> None:
        line: dict[str, Any] = {"schema": SCHEMA_VERSION, "type": kind, "timestamp": self._now()}
        if submission_id is not None:
            line["submission_id"] = submission_id
        line.update(fields)
        self._lines.append(encode_any(line))


def _has_a_name_twice(event: Message, text: str) -> bool:
    """Whether an object in an event's text has two fields of one name, which readers understand differently (RFC 8259,
    section 4). An event may also be taken for one, as if a string in it were a name.
    """
    names = text.count('":') if " :" not in text else len(_NAME_END.findall(text))
    if type(event) in _FLAT:
        # Nearly always each name is that of a field with a value, and the type is none of the fields.
        values = _values(event)
        if names == len(values) - values.count(None) + 1:
            return False
    return names != _count_names(event.raw)


def _count_names(value: object) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_names, value.values()))
    return sum(map(_count_names, value)) if isinstance(value, list) else 0


def error_fields(error: SubcliError, exit_code: int) -> dict[str, Any]:
    """Return an error as ``--json`` prints it."""
    return {
        "error": {"kind": error.kind, "message": error.message, "hint": error.hint},
        "exit_code": exit_code,
    }
