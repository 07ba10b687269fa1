"""What a solution can do wrong, as exceptions that carry their evidence.

SolutionFault            something the solution did; the test failed
├── Violation            a rule of the problem was broken
├── NodeDied             a process ended although nobody had asked it to
├── NodeSilent           a process did not answer in time
├── BadLine              a line on stdout that is not a message, or a message that lacks something
└── OutputFlood          more output than the limit

Any other exception out of a test, a plain failed `assert` apart, is the judge's own fault.
"""

from __future__ import annotations

from collections.abc import Sequence

from subcli.judge.evidence import Evidence, Site
from subcli.judge.harness.message import Message


class SolutionFault(Exception):
    """Something that the solution did wrong. `evidence` is what the analysis is made from."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(evidence.message)
        self.evidence = evidence


class Violation(SolutionFault):
    """A rule of the problem was broken.

    Arguments:
        message: the symptom, one sentence.
        expected, actual: what should have been, what was.
        culprit: the message that broke the rule; the line that sent it is shown.
        explanation: why this is wrong, in the problem's terms.
        suggestions: what to look at.
    """

    def __init__(
        self,
        message: str,
        *,
        expected: str = "",
        actual: str = "",
        culprit: Message | None = None,
        sites: Sequence[Site] = (),
        explanation: str = "",
        suggestions: Sequence[str] = (),
    ) -> None:
        super().__init__(
            Evidence(
                kind="violation",
                message=message,
                expected=expected,
                actual=actual,
                node=culprit.src if culprit else "",
                sites=tuple(sites) or (culprit.sites if culprit else ()),
                explanation=explanation,
                suggestions=tuple(suggestions),
            )
        )


class NodeDied(SolutionFault):
    """A process ended although nobody had asked it to."""

    def __init__(self, node: str, exit_code: int, stderr: str, doing: str) -> None:
        how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"exited with code {exit_code}"
        super().__init__(
            Evidence(
                kind="exit",
                message=f"{node} {how} {doing}",
                node=node,
                exit_code=exit_code,
                stderr=stderr,
            )
        )


class NodeSilent(SolutionFault):
    """A process did not answer in time (`seconds` of the wall clock)."""

    def __init__(self, node: str, awaited: str, seconds: float, stderr: str, sites: Sequence[Site]) -> None:
        super().__init__(
            Evidence(
                kind="silence",
                message=f"{node} did not answer with {awaited} within {seconds:g} s",
                expected=f"{awaited} from {node}",
                actual=f"nothing for {seconds:g} s",
                node=node,
                stderr=stderr,
                sites=tuple(sites),
            )
        )


class BadLine(SolutionFault):
    """A line on stdout that is not a message, or a message whose field is missing or of the wrong kind."""

    def __init__(self, node: str, line: str, complaint: str, sites: Sequence[Site] = (), field: str = "") -> None:
        super().__init__(
            Evidence(
                kind="bad_field" if field else "bad_line",
                message=f"{node} printed a line that {complaint}",
                actual=line,
                node=node,
                line=line,
                field=field,
                sites=tuple(sites),
            )
        )


class OutputFlood(SolutionFault):
    """More output than the limit (`kilobytes`)."""

    def __init__(self, node: str, kilobytes: int, stream: str, line: str, sites: Sequence[Site]) -> None:
        super().__init__(
            Evidence(
                kind="flood",
                message=f"{node} printed more than {kilobytes} KB on {stream}",
                node=node,
                line=line,
                sites=tuple(sites),
            )
        )
