"""``subcli test --replay``: what the server has of a failure, and what is needed to run the same schedule here.

A test on several nodes is a simulation: its seeds decide about every delay and loss, and nothing depends on the
machine. So the test itself, run again, is the same schedule.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from subcli.cli.common import Common, submission
from subcli.cli.diagram import failed_with_trace, fetch_trace, test_named
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from subcli.cli.commands.init import Template
    from subcli.client.client import Client
    from subcli.core.replay import Replayed
    from subcli.judge.debugging import Debugged
    from subcli.judge.problem import Problem
    from subcli.shared.run_trace import RunTrace

_SHOWN_MAX: Final = 10
_NO_LIMIT_S: Final = 80_000.0
_DEBUGGED_MB: Final = 4_096


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
        name = str(tests[0].get("test_name"))
        raise UsageError(
            f"The author of {template.problem} does not give its tests away, so this failure can be replayed only on "
            "the server.",
            hint=f"`subcli status {submission_id} --test '{name}' --diagram` shows how it happened; with the problem "
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


# -- debuggers ------------------------------------------------------------------------------------


def debugged(node: str, debugger: str | None, recorded: Recorded, streams: Streams) -> Debugged:
    """How to start a node under a debugger.

    Args:
        node: its name.
        debugger: ``pdb`` or ``debugpy``; ``None``: debugpy if it is installed, else pdb.
        recorded: the failure, of which there must be only one.

    Raises:
        UsageError: It is not possible.
    """
    import importlib.util
    import os

    from subcli.judge.debugging import Debugged

    if len(recorded.traces) != 1:
        raise UsageError("`--debug-node` is for one test.", hint="Name it: `--replay ID:TEST`.")
    (trace,) = recorded.traces.values()
    if node not in trace.nodes:
        raise UsageError(f"There is no node {node!r}.", hint=f"There are: {', '.join(trace.nodes)}.")
    if recorded.language != "python":
        raise UsageError(f"Nodes in {recorded.language} cannot be debugged here; those in Python can.")
    found = importlib.util.find_spec("debugpy")
    if debugger == "pdb" or (debugger is None and found is None):
        if not streams.stdin_tty:
            raise UsageError("pdb needs a terminal.", hint="`--debugger debugpy` waits for an editor instead.")
        return Debugged(node, trace.cluster, f"pdb {os.ttyname(streams.stdin.fileno())}")
    if found is None or found.origin is None:
        raise UsageError("debugpy is not installed.", hint="`pip install debugpy`, or use `--debugger pdb`.")
    port = _free_port()
    from subcli.output.terminal import report

    report.note(
        f"{node} waits for a debugger at 127.0.0.1:{port}. Editors attach to it with the path mapping from your "
        'directory to "."',
        streams.stderr,
        streams.env,
    )
    return Debugged(node, trace.cluster, f"debugpy {port} {Path(found.origin).parent.parent}")


def _free_port() -> int:
    """debugpy's usual port, or another one if that is taken."""
    import socket

    for port in (5678, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UsageError("No port is free on this machine.")


def without_limits(problem: Problem) -> Problem:
    """The problem with limits that do not end what a person looks at."""
    from dataclasses import replace

    import msgspec

    times = dict.fromkeys(("test_seconds", "answer_seconds", "submission_seconds"), _NO_LIMIT_S)
    sizes = {"memory_mb": _DEBUGGED_MB, "total_memory_mb": 4 * _DEBUGGED_MB}
    more = {"processes": problem.limits.processes + 32, "output_kb": 64 * 1024}
    return replace(problem, limits=msgspec.structs.replace(problem.limits, **times, **sizes, **more))


# -- what it has shown ----------------------------------------------------------------------------


def tell(replayed: Mapping[str, Replayed], recorded: Recorded, streams: Streams) -> None:
    """Say how the replays compare with the records: each by itself, or their number if there are many."""
    from subcli.output.terminal import report

    def note(text: str) -> None:
        report.note(text, streams.stderr, streams.env)

    same = [each for each in replayed.values() if each.same]
    if len(replayed) > 1 and same:
        what = "failures are the same as" if len(same) > 1 else "failure is the same as"
        note(f"{len(same)} of {len(recorded.traces)} {what} in submission {recorded.submission_id}.")
    told = [each for each in replayed.values() if not each.identical or len(replayed) == 1]
    for each in told[:_SHOWN_MAX]:
        note(f"{each.test_name} (seed {each.seed}), compared with submission {recorded.submission_id}: {each.detail}")
    if len(told) > _SHOWN_MAX:
        note(f"{len(told) - _SHOWN_MAX} more differ.")


def none_replayed(recorded: Recorded) -> NotFoundError:
    """The error if the tests that failed are not among those given away."""
    names = ", ".join(list(recorded.traces)[:_SHOWN_MAX])
    return NotFoundError(
        f"The tests of {recorded.problem} that are given away do not include {names}.",
        hint=f"`subcli status {recorded.submission_id} --diagram` shows how it failed.",
    )
