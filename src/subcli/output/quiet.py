"""The view for ``-q``: the verdict on stdout and nothing else (contract, section 4)."""

from __future__ import annotations

from typing import Any, TextIO

from subcli.output.printable import one_line
from subcli.output.view import Ending, Shown, Source


class QuietView:
    """Prints the word of each verdict; ``ID verdict`` where several are watched.

    Args:
        stdout: where to.
        several: whether more than one submission is watched.
    """

    tick_s: float | None = None

    def __init__(self, stdout: TextIO, several: bool) -> None:
        self._stdout = stdout
        self._several = several

    def submitted(self, submission_id: int, answer: dict[str, Any]) -> None:
        """Nothing: the verdict is wanted, not the id."""

    def begin(self, source: Source) -> None:
        """Nothing."""

    def event(self, submission_id: int, event: Shown) -> None:
        """Nothing."""

    def end(self, ending: Ending) -> None:
        """The verdict, if there is one; an error is the exit code's to tell."""
        if ending.verdict is None:
            return
        word = one_line(ending.verdict.final_status)
        self._stdout.write(f"{ending.submission_id} {word}\n" if self._several else f"{word}\n")
        self._stdout.flush()

    def tick(self) -> None:
        """Never asked for."""

    def flush(self) -> None:
        """Nothing waits."""

    def suspend(self) -> None:
        """Nothing: a prompt goes to the terminal, not to stdout."""

    def resume(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing is held back."""
