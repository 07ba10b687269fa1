"""Does the watchdog ever misread a sandbox? `python -m bench.looks --looks 1000000`

Sandboxes are started one after the other with a program that writes nothing. Each is looked at again and again, as the
watchdog does, from the moment its first process exists: while it still has the machine's directories, while it moves to
its own root, and shortly afterwards. A look that finds more than a few empty directories is a false reading: it is of
the machine's disk, and the verdict would blame the solution for it.

Beside each look, the same path is looked at twice, which was the mistake: `stat` before the move, `statvfs` after it or
the other way round. If that never misread either, the trial has shown nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.judge import Language, Problem, ResourceLimits
from subcli.judge.process.starter import Plans, spawn
from subcli.judge.process.usage import Files, in_memory
from subcli.judge.sandbox.probe import probe

_SETTLED: Final = 50
"""How often a sandbox is looked at once it has its own directories."""
_FEW: Final = 16
"""More files than a sandbox that writes nothing has: its directories, and the way to the submission's below them."""


@dataclass
class Counts:
    """What was seen so far."""

    sandboxes: int = 0
    looks: int = 0
    before: int = 0
    """Looks at a sandbox that still had the machine's directories, or none."""
    false: int = 0
    false_if_twice: int = 0


def twice(sandbox: int, directories: tuple[str, ...]) -> Files:
    """The faulty look: one path, resolved two times."""
    used = Files()
    for directory in directories:
        with suppress(OSError):
            path = f"/proc/{sandbox}/root{directory}"
            if os.stat(path).st_dev != os.stat(directory).st_dev:
                there = os.statvfs(path)
                used += Files(there.f_files - there.f_ffree, (there.f_blocks - there.f_bfree) * there.f_frsize)
    return used


def is_false(used: Files) -> bool:
    """Whether this is more than a sandbox that writes nothing can have."""
    return used.count > _FEW or used.size > 0


def first_process(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """The first process inside the sandbox, as soon as it exists; nothing if it has ended before."""
    while process.poll() is None:
        with suppress(OSError):
            if found := Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                yield int(found[0])
                return


def look_at_one(plans: Plans, counts: Counts) -> None:
    """Start one sandbox and look at it until it has settled or ended."""
    process = spawn(plans.run, ("true",), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    counts.sandboxes += 1
    for sandbox in first_process(process):
        settled = 0
        # Not longer: what remains of it when bubblewrap has ended is not its own.
        while settled < _SETTLED and process.poll() is None:
            used, faulty = in_memory(sandbox, plans.scratch), twice(sandbox, plans.scratch)
            counts.looks += 1
            settled += used.count > 0
            counts.before += used.count == 0
            counts.false += is_false(used)
            counts.false_if_twice += is_false(faulty)
            if is_false(used):
                print(f"false reading: {used}", flush=True)
    if process.wait() != 0:
        raise SystemExit(f"the sandbox ended with code {process.returncode}: nothing was measured")


def main() -> int:
    """Look and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", type=int, default=1_000_000)
    options = parser.parse_args()
    found = probe(cpus=1.0)
    if found.starter is None:
        raise SystemExit(f"no working sandbox here: {found.reason}")
    language = Language(name="any", source="a", run=("true",))
    counts = Counts()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="subcli-looks-") as name:
        Path(name).chmod(0o711)
        workspace = Path(name, "work")
        workspace.mkdir()
        problem = Problem(1, "looks", "Looks", "", {"any": language}, ResourceLimits(), Path(name))
        with found.starter.open(workspace, problem, language) as plans:
            while counts.looks < options.looks:
                look_at_one(plans, counts)
    seconds = time.monotonic() - began
    print(f"{counts.looks:,} looks at {counts.sandboxes:,} sandboxes in {seconds:.0f} s")
    print(f"while the sandbox was still being made: {counts.before:,}")
    print(f"false readings: {counts.false}; if each path were looked at twice: {counts.false_if_twice}")
    return 0 if not counts.false and counts.false_if_twice else 1


if __name__ == "__main__":
    raise SystemExit(main())
