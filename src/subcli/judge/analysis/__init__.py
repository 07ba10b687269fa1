"""The rules that explain failures, the most specific first.

A rule is a function that takes evidence and context and returns a `Finding`, or None if it does not apply.
"""

from subcli.judge.analysis import crashes, exceptions, limits, protocol, tools
from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.analysis.general import general

RULES = (
    *limits.RULES,
    *tools.RULES,
    *protocol.RULES,
    *crashes.EVIDENT,
    *exceptions.RULES,
    *crashes.ENDS,
)

__all__ = ["RULES", "Context", "Finding", "general"]
