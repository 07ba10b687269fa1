"""Runs problemtools' `verifyproblem` on packages, and prints what its judge said: one line of JSON for each.

It runs in the environment of problemtools, without `subcli`: `python theirs.py DIRECTORY ...`. Everything is checked
but the statement, which needs TeX. The judge is recorded through the hook that `verifyproblem` has for other judges.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

from problemtools import model
from problemtools.context import PROBLEM_PARTS, Context
from problemtools.diagnostics import Diagnostics, VerifyError
from problemtools.judge import SubmissionsJudge
from problemtools.verifyproblem import ProblemVerifier


class Errors(Diagnostics):  # type: ignore[misc]
    """Keeps the errors."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def error(self, msg: str, additional_info: str | None = None) -> None:
        self.found.append(msg)

    def _ignore(self, msg: str, additional_info: str | None = None) -> None:
        """What is not an error."""

    warning = info = debug = msg = ttymsg = _ignore

    def child(self, name: str) -> Errors:
        return self

    @property
    def errors(self) -> int:
        return len(self.found)

    @property
    def warnings(self) -> int:
        return 0


class Recording(SubmissionsJudge):  # type: ignore[misc]
    """The judge of `verifyproblem`, which can be asked afterwards."""

    made: ClassVar[list[Recording]] = []

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.failed: list[str] = []
        self.made.append(self)

    def precompute(self, submissions: list[Any], timelim: float) -> dict[Any, Any]:
        outcomes: dict[Any, Any] = super().precompute(submissions, timelim)
        self.failed += [str(each.path) for each, outcome in outcomes.items() if not outcome.success]
        return outcomes


def verify(directory: Path) -> dict[str, Any]:
    """What `verifyproblem` says of one package."""
    errors = Errors()
    Recording.made.clear()
    submissions: dict[str, Any] = {}
    try:
        problem = model.load_problem(directory, errors)
        parts = [part for part in PROBLEM_PARTS if part != "statement"]
        with ProblemVerifier(problem, errors) as verifier:
            result = verifier.check(Context(parts=parts, submissions_judge_factory=Recording))
            for judge in Recording.made:
                submissions |= dict.fromkeys(judge.failed)
                for submission, each in judge.judges().items():
                    submissions[str(submission.path)] = _nodes(each.judge(result.timelim or 300.0), directory)
    except VerifyError:
        pass
    except Exception as error:
        # A package that problemtools cannot read at all ends it.
        errors.found.append(f"{type(error).__name__}: {error}")
    return {"directory": str(directory), "errors": errors.found, "submissions": submissions}


def _nodes(results: list[Any], directory: Path) -> dict[str, list[Any]]:
    """By the names of cases and groups, with `data` for the whole: the verdict and the score."""
    nodes: dict[str, list[Any]] = {}
    for result in results:
        node = result.test_node
        is_case = isinstance(node, model.TestCase)
        name = str(node.path) if is_case else str(node.datadir.relative_to(directory / "data"))
        nodes[f"{name}/" if not is_case else name] = [result.verdict, result.score]
    return nodes


def main() -> None:
    """Verify the packages, and print a line about each."""
    for name in sys.argv[1:]:
        print(json.dumps(verify(Path(name).resolve())), flush=True)


if __name__ == "__main__":
    main()
