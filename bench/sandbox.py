"""The cost of the sandbox for each process: `python -m bench.sandbox [ROUNDS]`.

The same program, a Python that exits immediately, is started without a sandbox and with bubblewrap, in turns, so that
other load affects both. Prints JSON: of each, the milliseconds from before the start to after the exit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from subcli.judge import Language, LocalStarter, Problem, ResourceLimits
from subcli.judge.process.starter import StartPlan, spawn
from subcli.judge.sandbox.probe import probe

WARM_UP = 3
COMMAND = (sys.executable, "-I", "-S", "-c", "pass")


def started(plan: StartPlan) -> float:
    """Milliseconds to run one process."""
    began = time.perf_counter()
    process = spawn(plan, COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    code = process.wait()
    elapsed = time.perf_counter() - began
    if code != 0:
        raise SystemExit(f"the process exited with code {code}: nothing was measured")
    return elapsed * 1000


def main(rounds: int) -> None:
    """Measure and print."""
    found = probe(cpus=1.0)
    if found.starter is None:
        raise SystemExit(f"no working sandbox here: {found.reason}")
    language = Language(name="python", source="a.py", run=("{python}", "{source}"))
    with tempfile.TemporaryDirectory(prefix="subcli-judge-") as name:
        problem = Problem(1, "bench", "Bench", "", {"python": language}, ResourceLimits(), Path(name))
        plain_dir, inner_dir = Path(name, "plain", "work"), Path(name, "inner", "work")
        for directory in (plain_dir, inner_dir):
            directory.mkdir(parents=True)
        Path(name).chmod(0o711)
        with (
            LocalStarter().open(plain_dir, problem, language) as plain,
            found.starter.open(inner_dir, problem, language) as inner,
        ):
            times: dict[str, list[float]] = {}
            for number in range(-WARM_UP, rounds):
                for kind, plans in (("plain", plain), ("sandbox", inner)):
                    elapsed = started(plans.run)
                    if number >= 0:
                        times.setdefault(kind, []).append(elapsed)
    json.dump(times, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
