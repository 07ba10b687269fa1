"""``subcli test --replay``: what the server has of a failure, and what is needed to run the same schedule here.

A test on several nodes is a simulation: its seeds decide about every delay and loss, and nothing depends on the
machine. So the test itself, run again, is the same schedule.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from subcli.cli.common import Common, submission
from subcli.cli.diagram import failed_with_trace, fetch_trace, test_named
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.cli.commands.init import Template
    from subcli.cli.watching.options import Options
    from subcli.client.client import Client
    from subcli.core.replay import Replayed
    from subcli.judge.problem import Problem
    from subcli.output.view import View
    from subcli.settings.config import Settings
    from subcli.shared.run_trace import RunTrace
    from subcli.workspace.source import Source

_SHOWN_MAX: Final = 10


@dataclass(frozen=True)
class Recorded:
    """Failures of one submission as the server has recorded them.

    Attributes:
        problem: the slug of its problem.
        traces: how each of them happened, by the id of its test.
        files: what was submitted; empty if the server does not tell.
        template: what the server gives to those who solve the problem; ``None`` if it was not asked for.
    """

    submission_id: int
    problem: str
    language: str
    traces: Mapping[str, RunTrace]
    files: Mapping[str, str]
    template: Template | None = None


@dataclass(frozen=True)
class Wanted:
    """What is to be replayed, as the options of the command say it.

    Attributes:
        which: ``ID`` or ``ID:TEST``.
        problem: the directory of the problem, where the user has it.
        paths: the code to replay with, where it is named.
        node: the node to run under a debugger.
        diagram: whether to draw what happens.
    """

    which: str
    problem: Path | None
    paths: tuple[str, ...]
    node: str | None
    debugger: str | None
    sandbox: str
    follow_links: bool
    diagram: bool


def run(
    common: Common, streams: Streams, options: Options, wanted: Wanted, settings: Settings, beside: Sequence[View]
) -> int:
    """Run the failed tests of a submission again, and say whether they fail in the same way.

    Raises:
        SubcliError: There is no such failure, or it cannot be replayed.
    """
    from subcli.cli.debugger import debugged, without_limits
    from subcli.cli.diagram import show_diagrams
    from subcli.cli.judging_here import job_of, judge_here, problem_of, starter_of, warn_about
    from subcli.cli.watching.local import LocalSession

    if wanted.debugger is not None and wanted.node is None:
        raise UsageError("`--debugger` needs `--debug-node NODE`.")
    if wanted.node is not None and wanted.sandbox == "bwrap":
        raise UsageError("A debugger cannot reach into a sandbox.", hint="Leave `--sandbox` out.")
    recorded = fetch(common, streams, wanted.which, with_template=wanted.problem is None)
    source = _source(wanted, recorded, settings)
    is_fetched = wanted.problem is None
    found = fetched_problem(recorded) if is_fetched else problem_of(wanted.problem, settings, streams)
    with found as problem:
        warn_about(source, streams)
        job = replace(job_of(problem, source, recorded.language), traced=True, only=tuple(recorded.traces))
        if wanted.node is not None:
            node = debugged(wanted.node, wanted.debugger, recorded.language, recorded.traces, streams)
            job = replace(job, problem=without_limits(problem), debugged=node)
            options = msgspec.structs.replace(options, plain=True)
        starter = starter_of("none" if wanted.node is not None else wanted.sandbox)
        session = LocalSession(job, starter, recorded.traces)
        code = judge_here(common, streams, options, session, source, beside)
    if wanted.diagram:
        show_diagrams(common, streams, session)
    _tell(session.replayed, recorded, streams)
    return code


def _source(wanted: Wanted, recorded: Recorded, settings: Settings) -> Source:
    """The code to replay with: what is named, else this directory's if it solves the problem, else what was submitted.

    Raises:
        UsageError: There is none.
    """
    from subcli.cli.judging_here import source_of
    from subcli.workspace.source import Source

    if wanted.paths or (settings.problem == recorded.problem and settings.files):
        return source_of(list(wanted.paths), settings, None, follow_links=wanted.follow_links)
    if not recorded.files:
        raise UsageError("The server does not tell what was submitted.", hint="Name the file: `subcli test PATH …`.")
    return Source(recorded.files, single=False)


def fetch(common: Common, streams: Streams, which: str, *, with_template: bool) -> Recorded:
    """Fetch what is needed to replay failures.

    Args:
        which: ``ID`` or ``ID:TEST``; instead of the id, the URL of its page. All failed tests by default.
        with_template: whether the problem's tests are to come from the server.

    Raises:
        SubcliError: There is no such failure, or it cannot be replayed.
    """
    from subcli.cli.commands.init import as_template

    address, test = _parts(which)
    server, number = submission(address)

    async def call(client: Client) -> Recorded:
        snapshot = await client.api.submission_with_retry(number)
        problem, language = str(snapshot.get("problem")), str(snapshot.get("language"))
        rows = [row for row in await client.api.tests_with_retry(number) if isinstance(row, dict)]
        chosen = [test_named(rows, test, number)] if test else failed_with_trace(rows, number)
        template = None
        if with_template:
            template = as_template(problem, language, await client.template(problem, language))
            _check_given_away(template, number, chosen)
        traces = {str(row.get("test_id")): await fetch_trace(client, number, row) for row in chosen}
        files = await client.api.submitted_files(number)
        return Recorded(number, problem, language, traces, files, template)

    return request(common, streams, call, pasted_server=server)


def _parts(which: str) -> tuple[str, str]:
    """The submission and the test in ``ID:TEST``, or in the URL of a page with ``:TEST`` after it."""
    head, slash, rest = which.rpartition("/submissions/") if "://" in which else ("", "", which)
    address, _, test = rest.partition(":")
    return f"{head}{slash}{address}", test.strip()


def _check_given_away(template: Template, submission_id: int, tests: Sequence[Mapping[str, Any]]) -> None:
    if template.test is None or template.test.get("runner", "pytest") != "pytest":
        name = shlex.quote(str(tests[0].get("test_name")))
        raise UsageError(
            f"The author of {template.problem} does not give its tests away, so this failure can be replayed only on "
            "the server.",
            hint=f"`subcli status {submission_id} --test {name} --diagram` shows how it happened; with the problem "
            "itself, `--problem DIR` replays it.",
        )


@contextmanager
def fetched_problem(recorded: Recorded) -> Iterator[Problem]:
    """The problem as the server gives it away, in a directory of its own that is removed at the end.

    Raises:
        UsageError: It cannot be used here.
    """
    from subcli.judge.local import local_problem
    from subcli.judge.problem import ProblemError
    from subcli.settings.files import PROJECT_FILE
    from subcli.workspace.scaffold import make_workspace

    template = recorded.template
    assert template is not None
    with tempfile.TemporaryDirectory(prefix="subcli-replay-") as place:
        directory = Path(place).resolve() / recorded.problem
        make_workspace(
            directory,
            template.files,
            problem=template.problem,
            language=template.language,
            submitted=template.submitted,
            test=template.test,
        )
        try:
            problem = local_problem(directory / PROJECT_FILE, template.problem)
        except ProblemError as error:
            raise UsageError(f"The tests of {recorded.problem} cannot be used here: {error.complaint}.") from None
        assert problem is not None
        yield problem


def _tell(replayed: Mapping[str, Replayed], recorded: Recorded, streams: Streams) -> None:
    """Say how the replays compare with the records: each by itself, or their number if there are many."""
    from subcli.output.terminal import report

    def note(text: str) -> None:
        report.note(text, streams.stderr, streams.env)

    if not replayed:
        # They are not among those that the author gives away, or judging has not come to them.
        note(f"None of the failures of submission {recorded.submission_id} was replayed.")
    same = [each for each in replayed.values() if each.same]
    if len(replayed) > 1 and same:
        what = "are the same as" if len(same) > 1 else "is the same as"
        note(f"{len(same)} of {len(recorded.traces)} failures {what} in submission {recorded.submission_id}.")
    told = [each for each in replayed.values() if not each.identical or len(replayed) == 1]
    for each in told[:_SHOWN_MAX]:
        note(f"{each.test_name} (seed {each.seed}), compared with submission {recorded.submission_id}: {each.detail}")
    if len(told) > _SHOWN_MAX:
        note(f"{len(told) - _SHOWN_MAX} more differ.")
