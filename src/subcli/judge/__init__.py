"""The judge: runs a problem's tests on a submission and says what happened, as it happens.

It knows neither server nor client. A submission passes three processes of the judge's own, so that none of its code
ever runs where verdicts are made:

    judge()        in the server: starts the supervisor, yields its events
    supervisor     builds, starts the tests, enforces limits, explains failures, leaves nothing behind
    pytest         the problem's tests; each node of the solution is a child that speaks JSON lines

Importing this package imports neither pytest nor the harness.
"""

from subcli.judge.engine import judge
from subcli.judge.job import Job, UnsafePath
from subcli.judge.problem import Language, Limits, Problem, load_problem, load_problems
from subcli.judge.starter import LocalStarter, Starter, StartPlan
from subcli.judge.table import ProblemError

__all__ = [
    "Job",
    "Language",
    "Limits",
    "LocalStarter",
    "Problem",
    "ProblemError",
    "StartPlan",
    "Starter",
    "UnsafePath",
    "judge",
    "load_problem",
    "load_problems",
]
