"""``make picture``: renders one frame of the live view as SVG, from a real submission of a bundled wrong solution."""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.client.connection import connect
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.judge import load_problems
from subcli.output.live import frame
from subcli.output.text.lines import Block
from subcli.workspace.source import read_source

ROOT: Final = Path(__file__).parents[1]
COLUMNS: Final = 104
LINES: Final = 40
SOURCE: Final = "node.py"
"""What the wrong solution is called in the picture."""
RESULTS: Final = 8
"""Of ten: enough to show why two tests failed, and that judging is still in progress."""


async def record(server: str, source_file: Path) -> Console:
    """Watch a submission of this file, and draw the frame after ``RESULTS`` results."""
    started = time.monotonic()
    async with connect(Common(server=server).settings(Streams.of_process())) as client:
        source = read_source([str(source_file)])
        answer = await client.submit(source, problem="leader-election", language="python")
        watch = Watch(answer["submission_id"], problem="leader-election", language="python", url=answer["url"])
        connection, since = Connection("connecting"), started
        async for event in client.session(watch, own_submit=True).events():
            now = time.monotonic()
            if isinstance(event, Connection):
                connection, since = event, now
            if watch.snapshot().counts.done == RESULTS:
                break
        submission = frame.FrameInput(watch.snapshot(), connection, since, now - started)
        console = Console(
            record=True,
            width=COLUMNS,
            file=io.StringIO(),
            force_terminal=True,
            color_system="standard",
            markup=False,
            highlight=False,
        )
        viewport = frame.Viewport(COLUMNS, LINES, roomy=True)
        console.print(Block(frame.single(submission, now, viewport, compact=False).lines))
        return console


def main() -> None:
    """Write ``docs/live.svg``."""
    command = [sys.executable, "-m", "subcli", "serve", "--json", "--port", "0", "--stop-with-stdin", "--data-dir"]
    with (
        tempfile.TemporaryDirectory() as directory,
        subprocess.Popen([*command, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        # The judge's words name the file that was submitted.
        source_file = Path(directory, SOURCE)
        source_file.write_bytes((load_problems()["leader-election"].root / "solutions/failing.py").read_bytes())
        console = asyncio.run(record(json.loads(server.stdout.readline())["url"], source_file))
        server.stdin.close()
    # Remove the web fonts, which the browser would fetch from a third party.
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    title = f"subcli submit {SOURCE} --problem leader-election"
    text = console.export_svg(title=title, code_format=template, unique_id="live")
    lines = (line.rstrip() for line in text.splitlines())
    (ROOT / "docs/live.svg").write_text("\n".join(line for line in lines if line) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
