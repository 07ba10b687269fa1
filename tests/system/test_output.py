"""What a solution prints, on the terminal, in pipes and on the page, before its test has ended.

The solution prints a line and waits until somebody has seen it: no test here could pass if output came late.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from .browser import ABSENT, CHROMIUM, ENDED, Page, chromium
from .command import SUBCLI, Commands
from .conftest import Lines, Run, Served, needs
from .scripted import LOG, Wire, scripted
from .terminal import Terminal

MANIFEST = """
id = 77
slug = "printing"
title = "Printing"
description = "description.md"
runner = "cases"
[limits]
test_seconds = 100
submission_seconds = 200
build_seconds = 100
[languages.python]
source = "a.py"
build = ["{python}", "-u", "-c", "print('compiling a.py')"]
run = ["{python}", "-u", "{source}"]
"""
SOLUTION = """
import os, sys, time

def step(number, stream):
    print("line", number, file=stream, flush=True)
    while not os.path.exists({where!r} + "/seen-" + str(number)):
        time.sleep(0.01)

step(1, sys.stderr)
step(2, sys.stderr)
print("\\x1b]0;evil\\x07", file=sys.stderr)
print("done")
"""


class Printing:
    """A server with a problem whose solution waits at each line."""

    def __init__(self, server: Served, where: Path) -> None:
        self.server = server
        self._where = where
        self.words = (str(where / "a.py"), "--problem", "printing", "--server", server.url)

    def seen(self, number: int) -> None:
        """Let the solution go on after a line."""
        (self._where / f"seen-{number}").touch()

    def all_seen(self) -> None:
        for number in (1, 2):
            self.seen(number)


@pytest.fixture
def printing(serve: Callable[..., Served], tmp_path: Path) -> Printing:
    problem = tmp_path / "problems" / "printing"
    (problem / "tests").mkdir(parents=True)
    (problem / "problem.toml").write_text(MANIFEST)
    (problem / "description.md").write_text("Print.")
    (problem / "tests" / "1.in").write_text("")
    (problem / "tests" / "1.ans").write_text("done\n")
    (tmp_path / "a.py").write_text(SOLUTION.format(where=str(tmp_path)))
    return Printing(serve("--problems", str(problem.parent), "--sandbox", "none"), tmp_path)


@pytest.mark.thorough
def test_lines_of_a_log_come_while_the_test_runs(printing: Printing, env: dict[str, str]) -> None:
    """`submit --logs` in a pipe: each line after where it was printed, as soon as it is printed."""
    words = [*SUBCLI, "submit", *printing.words, "--logs", "--plain"]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            for number in (1, 2):
                if lines[-1] == f"test 1 stderr: line {number}":
                    printing.seen(number)
    assert process.returncode == 0
    printed = [line for line in lines if line.startswith(("build: ", "test 1 "))]
    assert printed[:3] == ["build: compiling a.py", "test 1 stderr: line 1", "test 1 stderr: line 2"]
    assert sorted(printed[3:]) == ["test 1 stderr: ^[]0;evil^G", "test 1 stdout: done"]
    result = next(line for line in lines if line.startswith("passed: 1"))
    assert lines.index(printed[0]) < lines.index("status: testing, 1 test") < lines.index(printed[1])
    assert lines.index(printed[-1]) < lines.index(result)


@pytest.mark.thorough
def test_json_has_the_messages(printing: Printing, follow: Callable[..., Lines], run: Run) -> None:
    """`--logs --json` passes them on as they come; another watch later gets them again, without `--logs` none."""
    watching = follow("submit", *printing.words, "--logs", "--json")
    for number in (1, 2):
        watching.until(lambda line, text=f"line {number}\n": line.get("text") == text)  # type: ignore[misc]
        assert not watching.of("test_result")
        printing.seen(number)
    assert watching.end() == 0
    pieces = watching.of("output")
    assert [piece["output_seq"] for piece in pieces] == list(range(1, len(pieces) + 1))
    assert (pieces[0]["stream"], pieces[0]["text"]) == ("build", "compiling a.py\n")
    assert watching.lines[-1]["type"] == "result"
    again = run("watch", "1", "--logs", "--json", "--server", printing.server.url)
    assert [line for line in map(json.loads, again.stdout.splitlines()) if line["type"] == "output"] == pieces
    for words in (("--json",), ("--plain",), ("-q", "--logs")):
        without = run("watch", "1", *words, "--server", printing.server.url)
        assert "compiling" not in without.stdout
        assert without.returncode == 0


@pytest.mark.thorough
@pytest.mark.parametrize("columns", [80, 200])
async def test_live_pane(printing: Printing, command: Commands, columns: int) -> None:
    """`--logs` shows a pane below the tests, and ends by itself like every watch."""
    words = ("submit", *printing.words, "--logs")
    async with Terminal(command, *words, columns=columns) as tty:
        await tty.until(lambda text: "test 1 stderr: line 1" in text)
        assert "build: compiling a.py" in tty.text
        assert "Output ─" in tty.text
        printing.seen(1)
        await tty.until(lambda text: "test 1 stderr: line 2" in text)
        printing.seen(2)
        assert await tty.end() == 0, tty.text
        assert b"\x1b]0;evil" not in tty.raw
        assert "stderr: line" not in tty.text
        assert tty.after == tty.before


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("columns", [80, 200])
async def test_key_asks_for_output(printing: Printing, command: Commands, columns: int) -> None:
    """`l` opens the pane with what was printed before and what comes; `l` again closes it."""
    async with Terminal(command, "submit", *printing.words, columns=columns) as tty:
        await tty.until(lambda text: "testing" in text)
        assert "Output ─" not in tty.text
        tty.press(b"l")
        await tty.until(lambda text: "test 1 stderr: line 1" in text)
        assert "build: compiling a.py" in tty.text
        printing.seen(1)
        await tty.until(lambda text: "test 1 stderr: line 2" in text)
        tty.press(b"l")
        await tty.until(lambda text: "Output ─" not in text)
        tty.press(b"l")
        await tty.until(lambda text: "test 1 stderr: line 1" in text and "test 1 stderr: line 2" in text)
        printing.seen(2)
        assert await tty.end() == 0, tty.text
        assert "passed" in tty.text


def piece(number: int, text: str, **more: Any) -> dict[str, Any]:
    fields = {"stream": "stdout", "test_id": "t1", "text": text, "output_seq": number, "after_seq": 3}
    return {"type": "output", "submission_id": 1, "timestamp": "2026-01-01T00:00:00.000Z", **fields, **more}


async def test_output_is_resumed_after_a_cut(command: Commands) -> None:
    """The next connection asks for what follows, and a piece that comes twice is shown once."""
    asked: list[tuple[str | None, str | None, str | None]] = []

    async def cut(wire: Wire) -> None:
        asked.append(tuple(wire.request.query(name) for name in ("events", "after_seq", "output_after")))  # type: ignore[arg-type]
        await wire.accept()
        await wire.text(*LOG[:3], piece(1, "one\n"), piece(2, "two\n"))
        await wire.close(1012)

    async def rest(wire: Wire) -> None:
        asked.append(tuple(wire.request.query(name) for name in ("events", "after_seq", "output_after")))  # type: ignore[arg-type]
        await wire.accept()
        await wire.text(piece(2, "two\n"), piece(3, "three\n"), *LOG[3:])
        await wire.close(1000)

    async with scripted(cut, rest) as server:
        done = await command("watch", "1", "--logs", "--plain", "--server", server.url)
    assert [line for line in done.out.splitlines() if line.startswith("t1 ")] == [
        *("t1 stdout: one", "t1 stdout: two", "t1 stdout: three")
    ]
    assert asked == [("output", None, None), ("output", "3", "2")]


@pytest.mark.thorough
async def test_a_hundred_megabytes_pass_through(command: Commands) -> None:
    """`--json` and `--plain` hold no more than a reader needs, however much comes."""
    text = "x" * 40_000 + "\n"
    count = 250

    async def flood(wire: Wire) -> None:
        await wire.accept()
        await wire.text(*LOG[:3])
        for number in range(1, count + 1):
            await wire.text(piece(number, text))
        await wire.text(*LOG[3:])
        await wire.close(1000)

    for words in (("--json",), ("--plain",)):
        async with scripted(flood) as server:
            done = await command("watch", "1", "--logs", *words, "--server", server.url)
        assert done.code == 0, done.err
        assert done.out.count("x" * 1_000) >= count


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A tab that must not complain."""
    needs("chromium", CHROMIUM)
    async with chromium(tmp_path) as page:
        yield page
        assert page.complaints == []


RECORD_SOCKETS = """
window.urls = [];
window.WebSocket = class extends WebSocket { constructor(url) { super(url); urls.push(String(url)); } };
0
"""
PANES = """[...document.querySelectorAll('#printed > details')].map(
    pane => [pane.querySelector('summary').innerText, pane.open, pane.querySelector('pre').textContent])"""


@pytest.mark.thorough
async def test_page_shows_output(page: Page, printing: Printing, run: Run) -> None:
    """Only once somebody opens the pane, and then as it happens; a pane for the build, and one for each test."""
    done = await asyncio.to_thread(run, "submit", *printing.words, "--no-watch")
    assert done.returncode == 0, done.stderr
    await page.open(f"{printing.server.url}/submissions/1")
    await page.until("document.getElementById('stages').innerText.includes('testing')")
    assert await page.run("document.getElementById('output').open") is False
    assert await page.run(PANES) == []
    await page.run(RECORD_SOCKETS)
    await page.run("document.querySelector('#output > summary').click()")
    await page.until("document.getElementById('printed').innerText.includes('line 1')")
    urls = await page.run("urls")
    assert len(urls) == 1
    assert "events=output" in urls[0]
    assert "after_seq=" in urls[0]
    printing.seen(1)
    await page.until("document.getElementById('printed').innerText.includes('line 2')")
    assert await page.run("document.getElementById('badge').innerText") == "… testing"
    printing.seen(2)
    await page.until(ENDED)
    (build, is_build_open, _), (test, is_test_open, text) = await page.run(PANES)
    assert (build, is_build_open, test, is_test_open) == ("Build", False, "1", True)
    assert text.startswith("line 1\nline 2\n")
    assert "\\u001b]0;evil\\u0007" in text
    # Whoever comes later gets it as well, as long as it is kept.
    await page.open(f"{printing.server.url}/submissions/1?again")
    await page.until(ENDED)
    await page.run("document.querySelector('#output > summary').click()")
    await page.until("document.getElementById('printed').innerText.includes('line 2')")
    await page.run("[...document.querySelectorAll('#printed > details:not([open]) > summary')].map(one => one.click())")
    await page.until("document.getElementById('printed').innerText.includes('compiling a.py')")
    await page.ask("Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=2, mobile=True)
    assert await page.run("document.documentElement.scrollWidth <= innerWidth")


SHOWN = """
(async () => {
  const [{ Submission }, { show }] = await Promise.all(['state', 'view'].map((name) => import(`/static/${name}.js`)));
  window.submission = new Submission(1);
  let number = 0;
  window.say = (test_id, text, more = {}) => submission.receive(
    { type: 'output', submission_id: 1, stream: 'stdout', test_id, text, output_seq: ++number, ...more });
  window.draw = () => show(submission);
  submission.receive({ type: 'status_update', status: 'testing', submission_id: 1, seq: 1 });
  // A twin, to which the page's own submission is not listening.
  const box = document.getElementById('output');
  box.replaceWith(box.cloneNode(true));
  document.getElementById('output').open = true;
  draw();
  return document.getElementById('output-note').innerText;
})()
"""
BOX = "document.querySelector('#printed > details[open] pre')"
LINES = "for (let line = 1; line <= 200; line++) say('t1', `line ${line}\\n`); draw();"


@pytest.mark.thorough(measured=True)
async def test_page_follows_at_the_end_only_and_stays_small(page: Page, server: Served) -> None:
    """A reader who has scrolled up stays there; text is never markup; what is shown is bounded, whatever comes."""
    await page.open(f"{server.url}/submissions/1")
    await page.until(ABSENT)
    assert await page.run(SHOWN) == "Nothing has been printed so far."
    await page.run(f"(() => {{ {LINES} return 0 }})()")
    at_end = f"{BOX}.scrollTop > 0 && {BOX}.scrollTop + {BOX}.clientHeight >= {BOX}.scrollHeight - 8"
    assert await page.run(at_end)
    await page.run(f"{BOX}.scrollTop = 10; say('t1', '<b>more</b>\\u001b[2J\\n'); draw()")
    assert await page.run(f"{BOX}.scrollTop") == 10
    text = await page.run(f"{BOX}.textContent")
    assert text.endswith("line 200\n<b>more</b>\\u001b[2J\n")
    assert await page.run(f"{BOX}.childElementCount") == 0
    await page.run(f"{BOX}.scrollTop = {BOX}.scrollHeight; say('t1', 'end\\n'); draw()")
    assert await page.run(at_end)
    # Pieces that were seen, of another submission, or that have no text.
    told = "[say('t1', 'again', {output_seq: 3}), say('t1', 'x', {submission_id: 2}), say('t1', 7)]"
    assert await page.run(told) == ["seen", "bad", "bad"]
    nodes = "(say('t2', 'a', {node: 'n1'}), say('t2', 'b\\n', {node: 'n2'}), draw())"
    await page.run(nodes)
    assert await page.run(f"{BOX}.textContent") == "[n1]\na\n[n2]\nb\n"
    flood = """(() => { for (let mb = 0; mb < 100; mb++) for (let part = 0; part < 25; part++) {
        say('t3', 'x'.repeat(39999) + '\\n'); if (part === 0) draw(); } return 0 })()"""
    await page.run(flood)
    many = "(() => { for (let test = 10; test < 200; test++) say(`t${test}`, 'y\\n'); draw(); return 0 })()"
    await page.run("(draw(), 0)")
    assert (await page.run(f"{BOX}.textContent")).startswith("[... earlier output is not shown ...]\n")
    held = "[...submission.printed.panes.values()].reduce((sum, pane) => sum + pane.text.length, 0)"
    shown = "[...document.querySelectorAll('#printed pre')].reduce((sum, one) => sum + one.textContent.length, 0)"
    for size in (held, shown):
        assert await page.run(size) < 150_000
    await page.run(many)
    assert await page.run("document.querySelectorAll('#printed > details').length") == 50
    assert await page.run("submission.printed.panes.size") == 50
