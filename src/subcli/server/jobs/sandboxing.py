"""The judge of a server or a worker: under which sandbox it starts solutions, found out and said before it starts."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Final

from subcli.judge import judge
from subcli.judge.process.starter import LocalStarter
from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.choice import Choice, SandboxError, choose
from subcli.judge.sandbox.probe import ProbeResult
from subcli.server.jobs.workers import Judge
from subcli.server.settings import ServeError

_log: Final = logging.getLogger(__name__)


def sandboxed_judge(
    wanted: Sandbox, *, for_others: bool, concurrency: int, data_dir: Path | None, problems_dir: Path | None
) -> tuple[Judge, Choice]:
    """The judge that starts solutions as `wanted`, and what holds of its sandbox, which is logged as well.

    Args:
        for_others: whether other people hand in code: a server with logins, a worker of one.
        concurrency: how many submissions are judged at the same time; 0 for none here.
        data_dir, problems_dir: directories that no solution may see, where there are any.

    Raises:
        ServeError: a sandbox is needed, and does not work here.
    """
    if concurrency == 0:
        # Workers elsewhere judge, each in what is found there.
        return judge, Choice(LocalStarter(), Sandbox.NONE, (ProbeResult(True, "judged by workers elsewhere"),))
    hidden = tuple(path.absolute() for path in (data_dir, problems_dir) if path is not None)
    try:
        choice = choose(wanted, for_others=for_others, concurrency=concurrency, hidden=hidden)
    except SandboxError as error:
        raise ServeError(error.message, error.hint) from error
    for finding in choice.findings:
        # What does not hold matters where strangers' code runs; on one's own machine it is no news.
        is_warning = for_others and not finding.holds
        _log.log(logging.WARNING if is_warning else logging.INFO, "sandbox: %s", finding.text)
    return partial(judge, starter=choice.starter), choice
