"""What is said where no rule knows the failure: the facts, and that no more is known."""

from __future__ import annotations

from subcli.judge.analysis.finding import Context, Finding
from subcli.judge.evidence import Evidence
from subcli.judge.process.text import last_line


def general(evidence: Evidence, context: Context) -> Finding:
    """The honest answer: nothing recognised, here is what was seen."""
    if evidence.kind == "judge":
        return Finding(
            category="judge_error",
            analysis="The judge could not run the tests of this problem. This is not the submission's fault. "
            + last_line(evidence.stderr),
            suggestions=("Tell whoever runs this server.",),
        )
    seen = last_line(evidence.stderr)
    said = f" The last thing it wrote to stderr: {seen}" if seen else " It wrote nothing to stderr."
    return Finding(
        category="unknown",
        analysis="No rule of the judge recognises this failure; the message of the test is all that is known." + said,
        suggestions=("Print what the node knows to stderr; it is shown with the test.",),
    )
