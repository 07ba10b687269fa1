"""Checks that a problem behaves as declared, for `subcli problems check DIR`.

Everything that `problem.toml` declares is verified by running it: the templates are judged, and so are the solutions
that ship with the problem. A solution must get its declared verdict and fail its declared tests. What the submissions
of a package must do is checked in `check_package`.
"""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from subcli.judge.cases.feedback import revealed
from subcli.judge.check_package import check_submissions
from subcli.judge.events import Event
from subcli.judge.job import Job
from subcli.judge.languages.language import Language
from subcli.judge.languages.versions import missing_programs
from subcli.judge.problem import Problem, ProblemError, Solution
from subcli.judge.problem_file import name_of_file
from subcli.judge.process.starter import Starter
from subcli.judge.process.text import cut
from subcli.judge.report import Check, Report
from subcli.judge.snapshot import snapshot_of_one
from subcli.judge.supervise.engine import judge

_NOT_STARTED = frozenset(
    ("exception", "early_exit", "crash", "import_error", "syntax_error", "not_startable", "memory_error", "recursion")
)
"""Categories of analyses that mean that the program exited on its own."""
_UNFINISHED = re.compile(r"NotImplemented|not (?:yet )?implemented|UnsupportedOperation", re.IGNORECASE)
"""What languages call a part that is still to be written."""
_SHOWN_BYTES = 4096


@dataclass(frozen=True)
class _Outcome:
    verdict: str
    failed: tuple[str, ...]
    total: int
    skipped: int
    analyses: tuple[Event, ...]
    printed: tuple[str, ...]
    """What the build printed if it failed, what tests raised that could not be carried out, and the judge's own log."""

    @property
    def why(self) -> str:
        """The first analysis, then what was printed."""
        first = str(self.analyses[0]["error"]) if self.analyses else ""
        return "\n".join((first, *(text for text in self.printed if text != first))).strip()


def check_problem(directory: Path, *, starter: Starter | None = None) -> Report:
    """Check the whole problem in `directory`. This takes as long as judging each of its solutions.

    Runs its own event loop; inside one, iterate over `checks` instead.
    """

    async def collect() -> tuple[Check, ...]:
        return tuple([check async for check in checks(directory, starter=starter)])

    return Report(directory, asyncio.run(collect()))


async def checks(directory: Path, *, starter: Starter | None = None) -> AsyncGenerator[Check, None]:
    """Check the whole problem in `directory`, and yield each result as soon as it is known."""
    with ExitStack() as stack:
        try:
            # As on a server: all of it is judged as it is now, whatever its author edits meanwhile.
            problem = stack.enter_context(snapshot_of_one(directory))
        except (ProblemError, OSError) as error:
            yield Check(name_of_file(directory), False, str(error))
            return
        remarks = (*problem.remarks, *_byte_order_marks(problem))
        yield Check(problem.file.name, True, "\n".join((f"{problem.slug}: {problem.title}", *remarks)))
        if problem.timing is not None:
            async with aclosing(check_submissions(problem, starter)) as found:
                async for check in found:
                    yield check
            return
        if problem.cases is not None:
            problem = replace(problem, cases=revealed(problem.cases))
        yield _has_reference(problem)
        for language in problem.languages.values():
            if language.template is not None:
                yield await _template(problem, language, language.template, starter)
        for solution in problem.solutions:
            yield await _solution(problem, solution, starter)


def _byte_order_marks(problem: Problem) -> Iterator[str]:
    """A sentence for each file of a case that a text editor on Windows has marked."""
    for case in problem.cases.root.cases() if problem.cases is not None else ():
        for path in (case.input, case.answer):
            if path.suffix and (encoding := _encoding_marked(path)):
                name = f"{case.name}{path.suffix}"
                yield f"{name} begins with a byte order mark ({encoding}), which counts as part of the first word"


def _encoding_marked(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(3)
    if start == codecs.BOM_UTF8:
        return "UTF-8"
    return "UTF-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ""


def _has_reference(problem: Problem) -> Check:
    references = [solution for solution in problem.solutions if solution.expect == "passed"]
    if references:
        return Check("reference solution", True, ", ".join(each.file.name for each in references))
    return Check(
        "reference solution", False, 'no [[solutions]] with expect = "passed", so nothing proves it can be solved'
    )


async def _template(problem: Problem, language: Language, template: Path, starter: Starter | None) -> Check:
    name = f"template {language.name}"
    missing = _missing(language)
    if missing:
        return Check(name, True, f"skipped: {missing} is not installed", skipped=True)
    files = {language.source: template}
    if problem.grader is not None:
        # What learners begin with besides, such as a header. The grader's own files come from the judge.
        files |= {path.relative_to(problem.root).as_posix(): path for path in problem.local_files}
    outcome = await _judge(problem, language, files, starter)
    if problem.grader is not None and outcome.verdict == "build_failed":
        # The tests are built with it, and call what is still to be written.
        return Check(name, True, "does not build with the tests yet")
    if outcome.verdict in ("error", "build_failed"):
        return Check(name, False, f"{outcome.verdict}: {outcome.why}")
    ended = next((each for each in outcome.analyses if _has_ended(each)), None)
    if ended is not None:
        return Check(name, False, f"it exits early: {ended['error']}")
    if outcome.verdict == "passed":
        return Check(name, False, "it already passes every test")
    return Check(name, True, f"starts, and fails {len(outcome.failed)} of {outcome.total}")


def _has_ended(analysis: Event) -> bool:
    return analysis["category"] in _NOT_STARTED and _UNFINISHED.search(str(analysis["error"])) is None


async def _solution(problem: Problem, solution: Solution, starter: Starter | None) -> Check:
    name = f"solution {solution.file.name}"
    language = problem.languages[solution.language]
    missing = _missing(language)
    if missing:
        return Check(name, True, f"skipped: {missing} is not installed", skipped=True)
    files = solution.files or {language.name_of_single(solution.file.name): solution.file}
    outcome = await _judge(problem, language, files, starter)
    if outcome.verdict != solution.expect:
        return Check(name, False, f"{outcome.verdict} instead of {solution.expect}. {outcome.why}".strip())
    if solution.failed and set(solution.failed) != set(outcome.failed):
        declared = ", ".join(solution.failed)
        return Check(name, False, f"fails {', '.join(outcome.failed)}, but declares {declared}")
    if problem.total_tests is not None and outcome.total not in (0, problem.total_tests):
        return Check(name, False, f"{outcome.total} tests ran, but total_tests is {problem.total_tests}")
    said = solution.expect + (f": {', '.join(outcome.failed)}" if outcome.failed else "")
    return Check(
        name, True, said + (f" ({outcome.skipped} of {outcome.total} tests skipped)" if outcome.skipped else "")
    )


def _missing(language: Language) -> str:
    return ", ".join(missing_programs(language))


async def _judge(problem: Problem, language: Language, files: Mapping[str, Path], starter: Starter | None) -> _Outcome:
    """Judge files as a submission that calls them so."""
    texts = {name: await asyncio.to_thread(path.read_text, encoding="utf-8") for name, path in files.items()}
    job = Job(problem, language.name, texts)
    faults: list[str] = []
    async with aclosing(judge(job, starter=starter, on_fault=faults.append)) as judging:
        events = [event async for event in judging]
    results = [event for event in events if event["type"] == "test_result"]
    builds = [str(event.get("detail", "")) for event in events if event.get("status") == "build_failed"]
    broken = [f"{event['test_name']}: {event['message']}" for event in results if event["status"] == "error"]
    return _Outcome(
        verdict=str(events[-1]["final_status"]),
        failed=tuple(str(event["test_name"]) for event in results if event["status"] in ("failed", "error")),
        total=len(results),
        skipped=sum(event["status"] == "skipped" for event in results),
        analyses=tuple(event for event in events if event["type"] == "error_analysis"),
        printed=tuple(cut(text.strip(), _SHOWN_BYTES) for text in (*builds, *broken, *faults)),
    )
