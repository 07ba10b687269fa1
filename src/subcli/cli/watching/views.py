"""The views of one command: the one that options, streams and environment ask for, and what works beside it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from subcli.cli.common import Common, now
from subcli.output.terminal.console import choose_view, make_console
from subcli.output.view import View
from subcli.output.workflow_commands import on_github

if TYPE_CHECKING:
    from subcli.cli.watching.loop import Options


def same_name(name: str) -> str | None:
    """Where a file of a submission is that was handed in elsewhere: here, under the same name, or so one hopes."""
    return name


def make_view(
    common: Common,
    options: Options,
    *,
    several: bool,
    beside: Sequence[View] = (),
    origin: Callable[[str], str | None] = same_name,
) -> View:
    """The views of ``submit`` and ``watch`` as one (contract, section 4).

    Args:
        several: whether more than one submission is watched.
        beside: other views that are to be told everything.
        origin: the path of a file of the submission, as the user named it.
    """
    name = choose_view(
        json=common.json,
        quiet=common.quiet,
        # What --debug says would be written into the screen.
        plain=options.plain or common.debug,
        stdout_tty=sys.stdout.isatty(),
        stderr_tty=sys.stderr.isatty(),
        env=os.environ,
    )
    others = list(beside)
    if name == "ndjson":
        from subcli.output.ndjson import NdjsonView

        main: View = NdjsonView(sys.stdout, now)
    elif name == "quiet":
        from subcli.output.view import QuietView

        main = QuietView(sys.stdout, several)
    elif name == "plain" or on_github(os.environ):
        main = _plain(options, origin)
    else:
        main = _live(options, others)
    if options.notify:
        from subcli.output.terminal.attention import Notifier

        others.append(Notifier(sys.stderr, os.environ))
    if not others:
        return main
    from subcli.output.view import CompositeView

    return CompositeView(main, others)


def _plain(options: Options, origin: Callable[[str], str | None]) -> View:
    from subcli.output.plain import PlainView

    stdout, stderr = make_console(sys.stdout, os.environ), make_console(sys.stderr, os.environ)
    plain = PlainView(stdout, stderr, time.monotonic, compact=options.compact)
    if not on_github(os.environ):
        return plain
    from subcli.output.github.annotations import locator
    from subcli.output.github.view import GithubView

    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    locate = locator(origin, Path.cwd(), os.environ)
    return GithubView(plain, sys.stdout, Path(summary) if summary else None, locate, sys.stderr)


def _live(options: Options, others: list[View]) -> View:
    from subcli.output.live.view import LiveView
    from subcli.output.terminal.attention import WindowStatus
    from subcli.output.terminal.terminal import shows_links, shows_progress

    stdout, stderr = make_console(sys.stdout, os.environ), make_console(sys.stderr, os.environ)
    if shows_links(os.environ):
        others.append(WindowStatus(sys.stderr, time.monotonic, progress=shows_progress(os.environ)))
    return LiveView(stdout, stderr, time.monotonic, compact=options.compact)
