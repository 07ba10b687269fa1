"""Exceptions for what a solution can do wrong. Each carries its evidence.

SolutionFault            the solution is at fault; the test fails
├── Violation            a rule of the problem was broken
├── NodeDied             a process ended too early
├── NodeSilent           a process did not answer in time
├── BadLine              a line on stdout that is not a message, or a message with a wrong field
└── OutputFlood          more output than the limit

Any other exception in a test, except a failed `assert`, is a fault of the test itself. `Misuse` always is; where
tests use `module()` or a server all others are failures, because what they stumble over is what the solution returned.
"""

from __future__ import annotations

from collections.abc import Sequence

from subcli.judge.evidence import Evidence, Site
from subcli.judge.harness.message import Message


class SolutionFault(Exception):
    """The solution did something wrong. `evidence` is what the analysis is based on.

    `messages` are those that broke a rule, for the picture of the failure.
    """

    def __init__(self, evidence: Evidence, messages: Sequence[Message] = ()) -> None:
        super().__init__(evidence.message)
        self.evidence = evidence
        self.messages = tuple(messages)


class Misuse(TypeError):
    """The test asks for something that the harness does not do: a mistake of the test's author."""


class Violation(SolutionFault):
    """A rule of the problem was broken.

    Args:
        message: The symptom in one sentence.
        expected: What should have happened.
        actual: What happened.
        culprit: The message that broke the rule. The line that sent it is shown.
        sites: The lines to show instead of the culprit's.
        messages: All messages that broke the rule, to be highlighted in the picture of the failure. Default: the
            culprit, else the message whose lines the test asked for last.
        explanation: Why this is wrong, in the problem's terms.
        suggestions: What to look at.
    """

    def __init__(
        self,
        message: str,
        *,
        expected: str = "",
        actual: str = "",
        culprit: Message | None = None,
        sites: Sequence[Site] = (),
        messages: Sequence[Message] = (),
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
            ),
            messages or ((culprit,) if culprit else ()),
        )


class NodeDied(SolutionFault):
    """A process ended before the judge ended it."""

    def __init__(self, node: str, exit_code: int, stderr: str, doing: str) -> None:
        how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"exited with code {exit_code}"
        super().__init__(
            Evidence(
                kind="exit",
                message=f"{node} {how} {doing}",
                node=node,
                is_node=True,
                exit_code=exit_code,
                stderr=stderr,
            )
        )


class NodeSilent(SolutionFault):
    """A process did not answer within `seconds` of real time."""

    def __init__(self, node: str, awaited: str, seconds: float, stderr: str, sites: Sequence[Site]) -> None:
        super().__init__(
            Evidence(
                kind="silence",
                message=f"{node} did not answer with {awaited} within {seconds:g} s",
                expected=f"{awaited} from {node}",
                actual=f"nothing for {seconds:g} s",
                node=node,
                is_node=True,
                stderr=stderr,
                sites=tuple(sites),
            )
        )


class BadLine(SolutionFault):
    """A line on stdout that is not a message, or a message with a missing or invalid field."""

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
    """A node printed more than `kilobytes`."""

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
