"""The options that ``submit`` and ``watch`` share, as typer declares them and as the loop receives them."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import msgspec
import typer

from subcli.cli import exits
from subcli.cli.common import whole_number, written
from subcli.core.errors import WatchTimeoutError

if TYPE_CHECKING:
    from subcli.shared.messages import Complete

_WITHOUT_TESTS: Final = frozenset(("build_failed", "cancelled", "error"))
_ROUNDING: Final = 1e-9
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?(?:e\d+)?)s?)?", re.ASCII)


def seconds(text: str) -> float:
    """The seconds of a duration such as ``90``, ``0.5``, ``5m``, ``1h30m``.

    Raises:
        typer.BadParameter: It is not a duration, or not positive.
    """
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        raise typer.BadParameter(f"{text!r} is not a valid duration. Examples: 90, 5m, 1h30m.")
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    total = 3600 * hours + 60 * minutes + rest
    if not 0.001 <= total < math.inf:
        raise typer.BadParameter(f"{text!r} is not positive." if total < 1 else f"{text!r} is too long.")
    return total


def _number(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a valid score.")
    return value


Timeout: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="SECONDS", parser=seconds, help="Stop waiting after this long, such as 90, 5m or 1h30m."
    ),
]
MaxAttempts: TypeAlias = Annotated[
    int,
    typer.Option("--max-attempts", metavar="N", parser=whole_number(0), help="Maximum number of reconnects in a row."),
]
Compact: TypeAlias = Annotated[bool, typer.Option("--compact", help="Show only failures and the verdict.")]
Plain: TypeAlias = Annotated[bool, typer.Option("--plain", help="Print lines instead of the live screen.")]
NoKeys: TypeAlias = Annotated[bool, typer.Option("--no-keys", help="Take no keys in the live screen.")]
Mine: TypeAlias = Annotated[
    bool, typer.Option("--mine", help="All of yours that are being judged, and those that join them.")
]
Everybodys: TypeAlias = Annotated[
    bool, typer.Option("--all", help="Everybody's that are being judged, and those that join them. For teachers.")
]
ToProblem: TypeAlias = Annotated[
    str | None,
    typer.Option("--problem", metavar="PROBLEM", help="Only those to this id or slug; alone: of yours."),
]
InGroup: TypeAlias = Annotated[
    str | None, typer.Option("--group", metavar="GROUP", help="Only those of this group's members. For teachers.")
]
Logs: TypeAlias = Annotated[
    bool, typer.Option("--logs", help="Show what the build and the tests print, as it is printed.")
]
AfterSeq: TypeAlias = Annotated[
    int | None, typer.Option("--after-seq", metavar="N", parser=whole_number(0), help="Start after this event.")
]
Judging: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--run", metavar="N", parser=whole_number(1), help="If it was judged again: follow an earlier judging."
    ),
]
JunitXml: TypeAlias = Annotated[
    Path | None,
    typer.Option("--junit-xml", metavar="PATH", callback=written, help="Write a JUnit XML report, even on errors."),
]
Notify: TypeAlias = Annotated[
    bool, typer.Option("--notify", help="Ring the bell and show a desktop notification at the end.")
]
FailFast: TypeAlias = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first verdict that is not passed.")]
MinScore: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--min-score",
        metavar="N",
        callback=_number,
        help="Exit 0 for at least this score, else 1.",
    ),
]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What ``submit`` and ``watch`` share beyond the common options.

    Attributes:
        timeout: seconds for everything together; ``None``: none.
        fail_fast: end at the first verdict that is not passed.
        min_score: the score from which a judged submission counts as passed; ``None``: the verdict decides.
        max_attempts: reconnects in a row without a new event.
        compact, plain, no_keys: how the view looks, and whether it takes keys.
        logs: show what the build and the tests print.
        notify: notify the user at the end.
        after_seq: begin after this event.
        judging: follow this run of a submission; ``None``: the latest.
        for_server: for the commands that are suggested (:meth:`subcli.cli.common.Common.for_server`).
        follow_up: the only command to suggest if there is nothing to look at afterwards; empty: none; ``None``: what
            helps most after a verdict, `subcli watch ID` after an interruption.
        at_home: the problem whose tests `subcli test` runs in this directory.
        has_page: whether the submission's page outlives the command.
        resume: how to continue without a verdict; ``None``: `subcli watch ID`.
        started: monotonic seconds at which the command began.
    """

    timeout: float | None = None
    fail_fast: bool = False
    min_score: float | None = None
    max_attempts: int = 5
    compact: bool = False
    plain: bool = False
    no_keys: bool = False
    logs: bool = False
    notify: bool = False
    after_seq: int = 0
    judging: int | None = None
    for_server: str = ""
    follow_up: str | None = None
    at_home: str | None = None
    has_page: bool = True
    resume: str | None = None
    started: float = msgspec.field(default_factory=time.monotonic)

    def command(self, name: str, submission_id: int) -> str:
        """A command line that will reach the same submission."""
        return f"subcli {name} {submission_id}{self.for_server}"

    def exit_code(self, verdict: Complete) -> int:
        """The exit code for a verdict.

        With ``min_score`` the score decides if the tests have run. If a problem gives no points, or a submission was
        not judged to its end, the verdict decides as usual.
        """
        from subcli.core.groups import points_of  # `--help` does without the messages

        code = exits.of_verdict(verdict.final_status)
        points = points_of(verdict.summary)
        if self.min_score is None or points is None or verdict.final_status in _WITHOUT_TESTS:
            return code
        return exits.OK if points.score >= self.min_score - _ROUNDING else exits.NOT_PASSED

    def resume_hint(self, submission_id: int) -> str:
        """How to continue without a verdict."""
        if self.resume is not None:
            return self.resume
        which = "" if self.judging is None else f" --run {self.judging}"
        return f"Judging goes on; `subcli watch {submission_id}{which}{self.for_server}` resumes watching."

    def follow_up_of(self, submission_id: int) -> str | None:
        """``follow_up``, or the command that shows the run that was followed: others would show the latest."""
        if self.judging is None:
            return self.follow_up
        return f"subcli status {submission_id} --run {self.judging}{self.for_server}"

    def timed_out(self, hint: str = "") -> WatchTimeoutError:
        """The error for ``--timeout``."""
        return WatchTimeoutError(f"No verdict within {self.timeout:g} s.", hint=hint)

    def unread(self) -> WatchTimeoutError:
        """The error for ``--timeout`` if there is a verdict, but nobody has read it."""
        return WatchTimeoutError(
            f"The output was not read within {self.timeout:g} s.", hint="The reader of stdout has stopped reading."
        )

    def left(self) -> float | None:
        """Seconds left of ``timeout``."""
        return None if self.timeout is None else max(0.0, self.started + self.timeout - time.monotonic())
