"""``subcli test``: judge on this machine, without a server, with the tests that are available here."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from subcli.cli import exits
from subcli.cli.commands.server.options import SandboxChoice, require_server_extra
from subcli.cli.common import Common, command, expanded
from subcli.cli.streams import Streams
from subcli.cli.watching.options import Compact, JunitXml, Logs, NoKeys, Notify, Options, Plain, Timeout
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.judge.problem import Problem

_ENDED: Final = "Nothing keeps running: the judge and everything it started have ended."


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(
        app,
        "test",
        codes=exits.JUDGING,
        example="subcli test   # in a directory that `subcli init` made\n"
        "subcli test solution.py --problem ./my-problem\n"
        "subcli test solution.cpp --problem ./hello --case 'sample/*'\n"
        "subcli test --replay 12:'Split Vote'   # the same failure on this machine",
    )
    def test(
        common: Common,
        streams: Streams,
        paths: Annotated[
            list[str] | None, typer.Argument(metavar="[PATH]...", help="Files or a directory; `-` is stdin.")
        ] = None,
        problem: Annotated[
            Path | None,
            typer.Option("--problem", metavar="DIR", callback=expanded, help="The problem's directory."),
        ] = None,
        language: Annotated[
            str | None,
            typer.Option("--language", metavar="NAME", help="Default: from the file extension, or the problem."),
        ] = None,
        case: Annotated[
            list[str] | None,
            typer.Option("--case", metavar="NAME", help="Run only this case, or those that match `group/*`."),
        ] = None,
        replay: Annotated[
            str | None,
            typer.Option(
                "--replay", metavar="ID[:TEST]", help="Run failed tests of a submission again, on the same schedule."
            ),
        ] = None,
        debug_node: Annotated[
            str | None,
            typer.Option("--debug-node", metavar="NODE", help="With `--replay`: run this node under a debugger."),
        ] = None,
        debugger: Annotated[
            Literal["pdb", "debugpy"] | None,
            typer.Option("--debugger", metavar="NAME", help="pdb or debugpy. Default: debugpy, if it is installed."),
        ] = None,
        diagram: Annotated[bool, typer.Option("--diagram", help="Draw how tests on several nodes failed.")] = False,
        follow_links: Annotated[
            bool, typer.Option("--follow-links", help="Follow links that lead outside the working tree.")
        ] = False,
        sandbox: SandboxChoice = "auto",
        timeout: Timeout = None,
        compact: Compact = False,
        plain: Plain = False,
        no_keys: NoKeys = False,
        logs: Logs = False,
        junit_xml: JunitXml = None,
        notify: Notify = False,
    ) -> int:
        """Judge code on this machine, without a server."""
        from dataclasses import replace

        from subcli.cli.diagram import show_diagrams
        from subcli.cli.judging_here import job_of, judge_here, problem_of, source_of, starter_of, warn_about
        from subcli.cli.watching.local import LocalSession
        from subcli.cli.watching.reports import junit_report

        options = Options(
            timeout=timeout,
            compact=compact,
            plain=plain,
            no_keys=no_keys,
            logs=logs,
            notify=notify,
            follow_up="",
            resume=_ENDED,
        )
        with junit_report(junit_xml, streams) as beside:
            require_server_extra(streams)
            settings = common.settings(streams, language=language)
            if replay is not None:
                if case:
                    raise UsageError("`--case` and `--replay` exclude each other.")
                from subcli.cli.replay import Wanted, run

                files = tuple(paths or ())
                wanted = Wanted(replay, problem, files, debug_node, debugger, sandbox, follow_links, diagram)
                return run(common, streams, options, wanted, settings, beside)
            if debug_node is not None or debugger is not None:
                raise UsageError("`--debug-node` is for a failure that is replayed.", hint="Add `--replay ID:TEST`.")
            with problem_of(problem, settings, streams) as found:
                _tell_limits_of(found, streams)
                source = source_of(paths or [], settings, problem, follow_links=follow_links)
                warn_about(source, streams)
                rerun = _rerun(paths or [], problem, language, sandbox)
                job = job_of(_selected(found, case or [], rerun), source, settings.language)
                session = LocalSession(replace(job, traced=diagram), starter_of(sandbox))
                code = judge_here(common, streams, options, session, source, beside)
                if diagram:
                    show_diagrams(common, streams, session)
                return code


def _rerun(paths: Sequence[str], problem: Path | None, language: str | None, sandbox: str) -> str:
    """The command line that runs this again, without the options for cases and output."""
    options = {
        "--problem": str(problem) if problem is not None else None,
        "--language": language,
        "--sandbox": sandbox if sandbox != "auto" else None,
    }
    given = [word for option, value in options.items() if value is not None for word in (option, value)]
    return shlex.join(["subcli", "test", *paths, *given])


def _selected(problem: Problem, names: Sequence[str], rerun: str) -> Problem:
    """The problem with only these cases, and nothing hidden: it belongs to the user.

    Args:
        problem: All of it.
        names: Names of cases, or patterns; all of them if there are none.
        rerun: The command that runs a case again, without `--case NAME`.

    Raises:
        UsageError: There is no such case.
    """
    from dataclasses import replace

    if problem.cases is None:
        if names:
            raise UsageError("`--case` is for problems made of cases.", hint=f"{problem.slug}'s tests are not cases.")
        return problem
    from subcli.judge.cases.feedback import revealed
    from subcli.judge.cases.selection import only

    cases = replace(revealed(problem.cases), rerun=rerun)
    if names:
        cases = only(cases, names)
        if not any(cases.root.cases()):
            known = ", ".join(case.name for case in list(problem.cases.root.cases())[:10])
            raise UsageError(f"No case is called {' or '.join(names)}.", hint=f"There are: {known}.")
    return replace(problem, cases=cases)


def _tell_limits_of(problem: Problem, streams: Streams) -> None:
    """Say what cannot be judged here, and which settings of the project file are unknown."""
    from subcli.output.terminal import report

    for remark in problem.remarks:
        report.note(remark, streams.stderr, streams.env)
    if problem.cases is not None and problem.cases.examples_only:
        report.note(
            f"{problem.slug} has a checker, which only the server has: output that differs from the example may "
            "be right, so it is skipped here. Crashes and limits are judged.",
            streams.stderr,
            streams.env,
        )
