"""The views of one command: the one that options, streams and environment select, and additional ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from subcli.cli.common import Common, now
from subcli.cli.streams import Streams
from subcli.output.terminal.console import choose_view, make_console
from subcli.output.view import View
from subcli.output.workflow_commands import on_github

if TYPE_CHECKING:
    from subcli.cli.watching.options import Options
    from subcli.output.live.view import Operator


def same_name(name: str) -> str | None:
    """The path of a file that was submitted elsewhere: probably the same name here."""
    return name


def make_view(
    common: Common,
    options: Options,
    streams: Streams,
    *,
    several: bool,
    beside: Sequence[View] = (),
    origin: Callable[[str], str | None] = same_name,
    operator: Operator | None = None,
) -> View:
    """The views of ``submit`` and ``watch`` as one (contract, section 4).

    Args:
        several: whether more than one submission is watched.
        beside: other views to pass everything to.
        origin: the path of a file of the submission, as the user named it.
        operator: does what keys in the live view ask for.
    """
    name = _name(common, options, streams)
    others = list(beside)
    if name == "ndjson":
        from subcli.output.ndjson import NdjsonView

        main: View = NdjsonView(streams.stdout, now)
    elif name == "quiet":
        from subcli.output.view import QuietView

        main = QuietView(streams.stdout, several)
    elif name == "plain":
        main = _plain(options, streams, origin)
    else:
        main = _live(options, streams, others, None if options.no_keys else operator)
    if options.notify:
        from subcli.output.terminal.attention import Notifier

        others.append(Notifier(streams.stderr, streams.env))
    if not others:
        return main
    from subcli.output.view import CompositeView

    return CompositeView(main, others)


def is_live(common: Common, options: Options, streams: Streams) -> bool:
    """Whether :func:`make_view` makes the live screen."""
    return _name(common, options, streams) == "live"


def _name(common: Common, options: Options, streams: Streams) -> str:
    name = choose_view(
        json=common.json,
        quiet=common.quiet,
        # The log would be written into the live screen.
        plain=options.plain or common.is_debugging(streams.env),
        stdout_tty=streams.stdout_tty,
        stderr_tty=streams.stderr_tty,
        env=streams.env,
    )
    return "plain" if name == "live" and on_github(streams.env) else name


def _plain(options: Options, streams: Streams, origin: Callable[[str], str | None]) -> View:
    from subcli.output.plain import PlainView

    stdout, stderr = make_console(streams.stdout, streams.env), make_console(streams.stderr, streams.env)
    plain = PlainView(stdout, stderr, time.monotonic, compact=options.compact, logs=options.logs)
    if not on_github(streams.env):
        return plain
    from subcli.output.github.annotations import locator
    from subcli.output.github.view import GithubView

    summary, outputs = (
        Path(name) if (name := streams.env.get(variable)) else None
        for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")
    )
    locate = locator(origin, streams.cwd or Path(), streams.env)
    return GithubView(plain, streams.stdout, summary, locate, streams.stderr, outputs)


def _live(options: Options, streams: Streams, others: list[View], operator: Operator | None) -> View:
    from subcli.output.live.view import LiveView
    from subcli.output.terminal.attention import WindowStatus
    from subcli.output.terminal.terminal import shows_links, shows_progress

    stdout, stderr = make_console(streams.stdout, streams.env), make_console(streams.stderr, streams.env)
    if shows_links(streams.env):
        others.append(WindowStatus(streams.stderr, time.monotonic, progress=shows_progress(streams.env)))
    return LiveView(stdout, stderr, time.monotonic, compact=options.compact, operator=operator, logs=options.logs)
