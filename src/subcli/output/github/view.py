"""The view for a GitHub Actions job: the log in a group, then annotations and the job's summary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from subcli.output.github.annotations import Locate, command, error_annotations
from subcli.output.github.outputs import write_outputs
from subcli.output.github.summary import append, summary
from subcli.output.plain import PlainView
from subcli.output.view import Ending, NullView, SnapshotSource, ViewEvent
from subcli.output.workflow_commands import CommandSafeStream


class GithubView(NullView):
    """Wraps the plain view in a group, and reports failures when it is closed.

    Args:
        plain: Writes the log.
        stdout: The stream that ``plain`` writes to; workflow commands go there as well.
        summary: The file of the job's summary, if there is one.
        locate: Finds the files that annotations point to.
        stderr: Where a summary that cannot be written is reported.
        outputs: The file of the step's outputs, if there is one.
    """

    def __init__(
        self,
        plain: PlainView,
        stdout: TextIO,
        summary: Path | None,
        locate: Locate,
        stderr: TextIO,
        outputs: Path | None = None,
    ) -> None:
        self._plain = plain
        self._stdout = stdout
        self._summary = summary
        self._locate = locate
        self._stderr = stderr
        self._outputs = outputs
        self._sources: dict[int, SnapshotSource] = {}
        self._submitted: list[int] = []
        self._urls: dict[int, str] = {}
        self._endings: dict[int, Ending] = {}
        self._group_is_open = False
        self._group_was_opened = False
        self.tick_s = plain.tick_s

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Open the group with the id and the address of the submission's page."""
        self._submitted = [submission_id]
        if isinstance(url := answer.get("url"), str):
            self._urls[submission_id] = url
        self._open_group()
        self._plain.submitted(submission_id, answer)

    def begin(self, source: SnapshotSource) -> None:
        """Add a submission; one that is there already is judged again."""
        self._sources[source.submission_id] = source
        self._endings.pop(source.submission_id, None)
        self._plain.begin(source)

    def event(self, submission_id: int, event: ViewEvent) -> None:
        """Log the event inside the group."""
        self._open_group()
        self._plain.event(submission_id, event)

    def end(self, ending: Ending) -> None:
        """Log how a submission ended; the last verdict goes below the group, where it is visible at once."""
        if ending.submission_id is not None:
            self._endings[ending.submission_id] = ending
        if len(self._endings) >= len(self._sources):
            self._close_group()
        self._plain.end(ending)

    def tick(self) -> None:
        """Let the plain view print a heartbeat."""
        self._plain.tick()

    def flush(self) -> None:
        """Pass what was written on to the reader."""
        self._plain.flush()

    def close(self) -> None:
        """Annotate the failures, append to the job's summary, and set the step's outputs."""
        self._close_group()
        self._plain.close()
        ended = [
            (self._sources[submission_id].snapshot(), ending)
            for submission_id, ending in sorted(self._endings.items())
            if submission_id in self._sources
        ]
        for line in error_annotations(ended, self._locate):
            self._write_command(line)
        self._stdout.flush()
        if self._summary is not None:
            with self._warning("the job's summary"):
                append(self._summary, summary(ended))
        if self._outputs is not None:
            ids = sorted({*self._submitted, *self._sources})
            with self._warning("the step's outputs"):
                write_outputs(self._outputs, ids, self._endings, self._urls)

    @contextmanager
    def _warning(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._stderr.write(f"warning: {what} cannot be written: {error.strerror or error}\n")

    def _open_group(self) -> None:
        if self._group_was_opened:
            return
        self._group_is_open = self._group_was_opened = True
        names = [source.snapshot().name for source in self._sources.values()]
        ids = " ".join(names or [f"#{number}" for number in self._submitted])
        self._write_command(command("group", f"subcli {ids}"))

    def _close_group(self) -> None:
        if self._group_is_open:
            self._plain.flush()
            self._write_command(command("endgroup", ""))
        self._group_is_open = False

    def _write_command(self, line: str) -> None:
        if isinstance(self._stdout, CommandSafeStream):
            self._stdout.write_command(line)
        else:
            self._stdout.write(f"{line}\n")
