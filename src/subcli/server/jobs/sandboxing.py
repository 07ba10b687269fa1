"""The judge of a server or a worker, with the sandbox that it starts solutions in. Chosen and logged at start-up."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Final

from subcli.judge import judge
from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.choice import Choice, SandboxError, choose
from subcli.server.jobs.judging import Judge
from subcli.server.settings import ServeError

_log: Final = logging.getLogger(__name__)


def sandboxed_judge(
    wanted: Sandbox,
    *,
    for_others: bool,
    concurrency: int,
    data_dir: Path,
    problems_dir: Path | None,
    readable: tuple[Path, ...] = (),
) -> tuple[Judge, Choice]:
    """Choose a sandbox, log what it guarantees, and return the judge that uses it.

    Args:
        for_others: whether other people submit code: on a server with logins, and on its workers.
        concurrency: how many submissions are judged at the same time.
        data_dir: the server's data, or the worker's copy of the problems; hidden from solutions.
        problems_dir: hidden from solutions.
        readable: solutions may read it besides what their languages need.

    Returns:
        the judge, and the choice with its findings.

    Raises:
        ServeError: a sandbox is required and does not work here, or cannot show what is `readable`.
    """
    hidden = tuple(path.absolute() for path in (data_dir, problems_dir) if path is not None)
    try:
        choice = choose(
            wanted,
            for_others=for_others,
            concurrency=concurrency,
            hidden=hidden,
            readable=tuple(path.absolute() for path in readable),
        )
    except SandboxError as error:
        raise ServeError(error.message, error.hint) from error
    for finding in choice.findings:
        # A missing guarantee matters where strangers' code runs; on one's own machine it is to be expected.
        is_warning = for_others and not finding.holds
        _log.log(logging.WARNING if is_warning else logging.INFO, "sandbox: %s", finding.text)
    return partial(judge, starter=choice.starter), choice
