"""The judge: runs a problem's tests on a submission and reports what happens, as it happens.

It knows neither server nor client. Three processes of its own judge a submission, so that the submission's code never
runs where the verdict is made:

    judge()        in the server: starts the supervisor, yields its events
    supervisor     builds, starts the tests, enforces limits, explains failures, leaves nothing behind
    pytest         runs the problem's tests; each node of the solution is a child that speaks JSON lines

Importing this package is cheap: names are imported on first use (PEP 562). Two of those processes import modules of it
without needing the engine or asyncio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subcli.judge.job import Job, OutputLimits, UnsafePath
    from subcli.judge.languages.language import Language
    from subcli.judge.problem import Problem, ProblemError, ResourceLimits
    from subcli.judge.problem_file import load_problem, load_problems
    from subcli.judge.process.starter import LocalStarter, Starter, StartPlan
    from subcli.judge.supervise.engine import judge

_HOMES = {
    "Job": "job",
    "Language": "languages.language",
    "ResourceLimits": "problem",
    "LocalStarter": "process.starter",
    "OutputLimits": "job",
    "Problem": "problem",
    "ProblemError": "problem",
    "StartPlan": "process.starter",
    "Starter": "process.starter",
    "UnsafePath": "job",
    "judge": "supervise.engine",
    "load_problem": "problem_file",
    "load_problems": "problem_file",
}

__all__ = [
    "Job",
    "Language",
    "LocalStarter",
    "OutputLimits",
    "Problem",
    "ProblemError",
    "ResourceLimits",
    "StartPlan",
    "Starter",
    "UnsafePath",
    "judge",
    "load_problem",
    "load_problems",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
