"""Does the client's memory grow with what a submission prints? `python -m bench.long_output`

A server sends 100 MB of output, in pieces of 32 KB, to `subcli watch --logs` in each of its views: the live screen on a
terminal, the plain one, and JSON lines. Measured is the largest resident size of each process, for a hundredth of the
output and for all of it. The second must be within 16 MB of the first.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pty
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.system.scripted import FULL, Rest, Script, Wire, scripted

VIEWS: Final = {"live": (), "plain": ("--plain",), "json": ("--json",)}
MOST_MB: Final = 16.0
_LINE: Final = "x" * 79 + "\n"
_TEXT: Final = _LINE * (32 * 1024 // len(_LINE))
_MEASURED: Final = """
import sys
from subcli.cli.main import run

code = run(sys.argv[2:])
with open("/proc/self/status") as status, open(sys.argv[1], "w") as found:
    found.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))
sys.exit(code)
"""


@dataclass(frozen=True)
class Watched:
    """One client.

    Attributes:
        peak_mb: its largest resident size.
        written_bytes: what it has written.
    """

    code: int
    peak_mb: float
    written_bytes: int


def printing(megabytes: float) -> Script:
    """A submission that prints so much while its only test runs, and passes."""

    def of(kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "submission_id": 1, "timestamp": "2026-01-01T00:00:00.000Z", **fields}

    async def script(wire: Wire) -> None:
        await wire.accept()
        await wire.text(of("status_update", seq=1, status="testing", total_tests=1))
        for number in range(1, max(round(megabytes * 1e6 / len(_TEXT)), 1) + 1):
            place = {"output_seq": number, "after_seq": 1, "test_id": "t1"}
            await wire.text(of("output", stream="stdout", text=_TEXT, **place))
        await wire.text(of("test_result", seq=2, test_name="One", test_id="t1", status="passed", duration_ms=5))
        summary = {"total_tests": 1, "passed": 1, "failed": 0}
        await wire.text(of("complete", seq=3, final_status="passed", summary=summary))
        await wire.close(1000)

    return script


async def watch(view: str, megabytes: float) -> Watched:
    """Watch a submission that prints so much."""
    async with scripted(printing(megabytes), rest=Rest(features=FULL | {"output"})) as server:
        words = ["watch", "1", "--logs", *VIEWS[view], "--server", server.url]
        return await asyncio.to_thread(_run, words, on_terminal=view == "live")


def _run(words: list[str], *, on_terminal: bool) -> Watched:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    reading, writing = pty.openpty() if on_terminal else os.pipe()
    with tempfile.TemporaryDirectory() as home:
        peak = Path(home) / "peak"
        process = subprocess.Popen(
            [sys.executable, "-c", _MEASURED, str(peak), *words],
            env={**kept, "HOME": home, "TERM": "xterm-256color"},
            stdin=writing if on_terminal else subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
        )
        os.close(writing)
        count = _count(reading)
        code = process.wait()
        return Watched(code, int(peak.read_text()) / 1024, count)


def _count(reading: int) -> int:
    """Read to the end, and count."""
    count = 0
    try:
        while data := os.read(reading, 1 << 16):
            count += len(data)
    except OSError:
        # The end of a terminal.
        pass
    finally:
        os.close(reading)
    return count


async def main(megabytes: float) -> int:
    """Print what each view needs."""
    is_bounded = True
    for view in VIEWS:
        few, all_ = [await watch(view, each) for each in (megabytes / 100, megabytes)]
        grown = all_.peak_mb - few.peak_mb
        is_bounded = is_bounded and grown <= MOST_MB and few.code == all_.code == 0
        print(
            f"{view}: {few.peak_mb:.1f} MB for {megabytes / 100:g} MB of output, {all_.peak_mb:.1f} MB for "
            f"{megabytes:g} MB ({all_.written_bytes / 1e6:.1f} MB written)",
            flush=True,
        )
    return 0 if is_bounded else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.long_output")
    parser.add_argument("--megabytes", type=float, default=100.0)
    sys.exit(asyncio.run(main(parser.parse_args().megabytes)))
