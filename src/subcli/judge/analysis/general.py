"""The finding for a failure that no rule recognises: the facts, and that nothing more is known."""

from __future__ import annotations

from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.evidence import Evidence
from subcli.judge.process.text import last_line


def general(evidence: Evidence, context: Context) -> Finding:
    """Describe what was seen without guessing at a cause; what the author says of it comes first."""
    if evidence.kind == "judge":
        analysis = "The judge could not run the tests of this problem. This is not the submission's fault. "
        return Finding(
            category="judge_error",
            analysis=evidence.explanation or analysis + last_line(evidence.stderr),
            suggestions=evidence.suggestions or ("Tell the operator of this server.",),
        )
    if evidence.explanation:
        return Finding(category="unknown", analysis=evidence.explanation, suggestions=evidence.suggestions)
    seen = last_line(evidence.stderr)
    said = f" Its stderr ends with: {seen}" if seen else " Nothing was written to stderr."
    return Finding(
        category="unknown",
        analysis="No rule of the judge recognises this failure; only the message of the test is known." + said,
        suggestions=("Print the program's state to stderr; it is shown with the test.",),
    )
