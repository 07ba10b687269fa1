"""``make recording``: records ``subcli demo --failing`` on a pty, as an asciicast and as a picture that moves.

The asciicast (version 2: a JSON object, then one JSON array per piece of output) is what ``asciinema play`` reads. The
SVG is computed from it alone: pyte, the terminal that the tests use, gives the screen at each moment, and CSS shows one
after another. It has no script, refers to nothing else, and plays once.
"""

from __future__ import annotations

import codecs
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from generate.screen_svg import Frame, read_screen, svg

ROOT: Final = Path(__file__).parents[1]
CAST: Final = ROOT / "docs/live.cast"
SVG: Final = ROOT / "docs/recording.svg"
COLUMNS: Final = 100
LINES: Final = 34
COMMAND: Final = "subcli demo --failing"
SETTLED_S: Final = 0.04
"""A screen is a frame if nothing was printed for that long after it."""
LONGEST_S: Final = 1.5
"""Nothing happens for longer in the picture, whatever it took in the run. The asciicast keeps the time."""


@dataclass(frozen=True)
class Cast:
    """A recording. ``output`` has the seconds since the start, and what was printed."""

    columns: int
    lines: int
    title: str
    output: tuple[tuple[float, str], ...]

    def dump(self) -> str:
        """The file, as asciicast version 2."""
        header = {"version": 2, "width": self.columns, "height": self.lines, "title": self.title}
        rows = [json.dumps(header), *(json.dumps([at_s, "o", text]) for at_s, text in self.output)]
        return "\n".join(rows) + "\n"


def parse(text: str) -> Cast:
    """Read an asciicast.

    Raises:
        ValueError: It is not version 2, or has other events than output.
    """
    header, *rows = (json.loads(line) for line in text.splitlines())
    if header["version"] != 2 or any(kind != "o" for _, kind, _ in rows):
        raise ValueError("not an asciicast of version 2 that has nothing but output")
    output = tuple((float(at_s), str(data)) for at_s, _, data in rows)
    return Cast(header["width"], header["height"], header["title"], output)


def record(command: list[str], title: str) -> Cast:
    """Run a command on a terminal of its own and note what it prints when."""
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (LINES, COLUMNS))
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    started = time.monotonic()
    process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=env, start_new_session=True)
    os.close(inner)
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    output: list[tuple[float, str]] = []
    try:
        while data := _read(outer):
            if text := decode(data):
                output.append((round(time.monotonic() - started, 3), text))
        process.wait()
    finally:
        os.close(outer)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait()
    return Cast(COLUMNS, LINES, title, tuple(output))


def _read(fd: int) -> bytes:
    """What was printed, or nothing at the end, which a pty tells by an error."""
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""


def frames(cast: Cast) -> Iterator[Frame]:
    """The screens that stood for a moment, each with the time at which it appears in the picture."""
    screens = read_screen(cast.columns, cast.lines)
    shown_s = before_s = 0.0
    last: Frame | None = None
    for place, (at_s, text) in enumerate(cast.output):
        shown_s += min(at_s - before_s, LONGEST_S)
        before_s = at_s
        rows = screens(text)
        following = cast.output[place + 1][0] if place + 1 < len(cast.output) else float("inf")
        if following - at_s >= SETTLED_S and (last is None or rows != last.rows):
            last = Frame(shown_s, rows)
            yield last


def render(cast: Cast) -> str:
    """The picture of a recording."""
    return svg(list(frames(cast)), columns=cast.columns, lines=cast.lines, title=cast.title)


def main() -> None:
    """Write ``docs/live.cast`` and ``docs/recording.svg``."""
    cast = record([sys.executable, "-m", "subcli", *COMMAND.split()[1:]], COMMAND)
    CAST.write_text(cast.dump(), encoding="utf-8")
    SVG.write_text(render(cast), encoding="utf-8")


if __name__ == "__main__":
    main()
