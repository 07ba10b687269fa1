"""The cost of the sandbox for each process: `python bench/sandbox.py [ROUNDS]`.

The same program, a Python that exits immediately, is started without a sandbox and with bubblewrap, in turns, so that
other load affects both. Prints medians and 90th percentiles in milliseconds, from before the start to after the exit,
and the difference of the medians. The target is at most 50 ms.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from subcli.judge import Language, LocalStarter, Problem, ResourceLimits
from subcli.judge.process.starter import StartPlan, spawn
from subcli.judge.sandbox.probe import probe

COMMAND = (sys.executable, "-I", "-S", "-c", "pass")


def started(plan: StartPlan) -> float:
    """Milliseconds to run one process."""
    began = time.perf_counter()
    process = spawn(plan, COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    code = process.wait()
    elapsed = (time.perf_counter() - began) * 1000
    if code != 0:
        raise SystemExit(f"the process exited with code {code}: nothing was measured")
    return elapsed


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
            times: dict[str, list[float]] = {"plain": [], "sandbox": []}
            for number in range(rounds + 3):
                for kind, plans in (("plain", plain), ("sandbox", inner)):
                    elapsed = started(plans.run)
                    if number >= 3:
                        times[kind].append(elapsed)
    medians = {kind: statistics.median(each) for kind, each in times.items()}
    for kind, each in times.items():
        print(f"{kind:8} median {medians[kind]:6.1f} ms   90 % {statistics.quantiles(each, n=10)[8]:6.1f} ms")
    print(f"overhead        {medians['sandbox'] - medians['plain']:6.1f} ms   ({rounds} rounds)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
