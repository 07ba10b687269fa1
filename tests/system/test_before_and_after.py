"""What has changed since the previous attempt: on terminals, in JSON and on the page, with a real server and judge."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .browser import CHROMIUM, ENDED, chromium
from .command import Commands
from .conftest import LRU, Run, Served, needs
from .terminal import Terminal

CHANGED = "since #1: 9 newly passing"
PROBLEM = ("--problem", "lru-cache")


def attempt(run: Run, server: Served, directory: Path, *, passes: bool) -> str:
    """Submit a solution that passes all tests, or one that answers nothing; return its id."""
    path = directory / "lru.py"
    path.write_text(LRU.read_text() if passes else "import sys\n\nfor line in sys.stdin:\n    print({}[0])\n")
    done = run("submit", str(path), *PROBLEM, "-q", "--no-watch", "--server", server.url)
    assert done.returncode == 0, done.stderr
    number = str(done.stdout.strip())
    run("watch", number, "-q", "--server", server.url)
    return number


@pytest.mark.thorough
@pytest.mark.parametrize("columns", [20, 200])
async def test_verdict_names_what_has_changed(
    command: Commands, run: Run, server: Served, tmp_path: Path, columns: int
) -> None:
    """The first attempt is compared with nothing; the second says what passes now, whoever shows it."""
    first = attempt(run, server, tmp_path, passes=False)
    shown = json.loads(run("status", first, "--json", "--server", server.url).stdout)
    assert shown["compared_to"] is None
    async with Terminal(command, "watch", first, "--server", server.url, columns=columns) as tty:
        assert await tty.end() == 1, tty.text
        assert "since #" not in tty.text
    second = attempt(run, server, tmp_path, passes=True)
    for words in (("watch", second), ("status", second)):
        async with Terminal(command, *words, "--server", server.url, columns=columns) as tty:
            assert await tty.end() == 0, tty.text
            assert CHANGED in " ".join(tty.text.split())
    plain = run("watch", second, "--plain", "--server", server.url)
    assert CHANGED in plain.stdout.splitlines()
    lines = [json.loads(line) for line in run("watch", second, "--json", "--server", server.url).stdout.splitlines()]
    shown = json.loads(run("status", second, "--json", "--server", server.url).stdout)
    compared = shown["compared_to"]
    assert (compared["previous"], compared["newly_passing"], compared["newly_failing"]) == (1, 9, 0)
    assert [line["compared_to"] for line in lines if line["type"] in ("complete", "result")] == [compared] * 2


@pytest.mark.thorough
@pytest.mark.parametrize("columns", [20, 80])
async def test_one_cause_is_told_once(command: Commands, server: Served, tmp_path: Path, columns: int) -> None:
    """Nine tests fail at one line: one explanation, one line for each of the others, the list, and one command."""
    (tmp_path / "lru.py").write_text("import sys\n\nfor line in sys.stdin:\n    print({}[0])\n")
    words = ("submit", "lru.py", *PROBLEM, "--server", server.url)
    async with Terminal(command, *words, columns=columns) as tty:
        assert await tty.end() == 1, tty.text
        text = " ".join(tty.text.split())
    assert text.count("a dictionary does not have this key") == 1
    assert "the same cause in 8 more tests:" in text
    assert re.search(r"next: subcli (status 1|init lru-cache) --server", text)
    assert "…" not in text


@pytest.mark.thorough
async def test_page_shows_what_has_changed(run: Run, server: Served, tmp_path: Path) -> None:
    """Below the summary, with a link to the previous attempt; polling shows the same."""
    needs("chromium", CHROMIUM)
    attempt(run, server, tmp_path, passes=False)
    second = attempt(run, server, tmp_path, passes=True)
    async with chromium(tmp_path) as page:
        await page.open(f"{server.url}/submissions/{second}")
        await page.until("document.querySelector('#compared:not([hidden])') !== null")
        assert await page.run("document.getElementById('compared').innerText") == "Since #1: 9 newly passing"
        assert await page.run("document.querySelector('#compared a').href") == f"{server.url}/submissions/1"
        assert await page.run(POLLED) == "9 newly passing"
        await page.open(f"{server.url}/submissions/1")
        await page.until(ENDED)
        assert await page.run("document.getElementById('compared').hidden")
        assert page.complaints == []


POLLED = """
(async () => {
  const { poll } = await import('../static/follow.js');
  const { Api } = await import('../static/api.js');
  const { Submission } = await import('../static/state.js');
  const { compared } = await import('../static/words.js');
  const submission = new Submission(2);
  await poll(submission, new Api(), () => {}, () => {});
  return compared(submission.comparedTo);
})()
"""

RUNNING = """
(async () => {
  const { Submission } = await import('../static/state.js');
  const { show, showTime } = await import('../static/view.js');
  const at = '2026-03-01T10:00:00Z';
  const submission = new Submission(9);
  const seen = [];
  const look = () => {
    show(submission);
    showTime(submission, Date.parse(at) + 4200);
    const line = document.getElementById('running');
    seen.push(line.hidden ? null : line.textContent);
  };
  const told = { status: 'testing', running_test: 'Split <b>vote</b>', running_ms: 1000 };
  submission.receive({ type: 'status_update', timestamp: at, ...told });
  look();
  submission.receive({ type: 'test_result', test_name: 'Split <b>vote</b>', status: 'passed', timestamp: at });
  look();
  submission.receive({ type: 'status_update', timestamp: at, ...told, running_ms: 'x' });
  look();
  submission.receive({ type: 'complete', final_status: 'passed', timestamp: at });
  look();
  return seen;
})()
"""


@pytest.mark.thorough
async def test_page_names_the_test_that_runs(run: Run, server: Served, tmp_path: Path) -> None:
    """And for how long, until its result comes."""
    needs("chromium", CHROMIUM)
    number = attempt(run, server, tmp_path, passes=True)
    async with chromium(tmp_path) as page:
        await page.open(f"{server.url}/submissions/{number}")
        await page.until(ENDED)
        assert await page.run(RUNNING) == [
            "Running: Split <b>vote</b>, 5 s",
            None,
            "Running: Split <b>vote</b>, 4 s",
            None,
        ]
        assert page.complaints == []


COLOURS = """
(() => {
  const style = getComputedStyle(document.documentElement);
  return ['--good', '--bad'].map((name) => style.getPropertyValue(name).trim());
})()
"""


@pytest.mark.thorough
async def test_page_has_themes(run: Run, server: Served, tmp_path: Path) -> None:
    """The one that the address names, and more contrast where the system prefers it; an unknown one changes nothing."""
    needs("chromium", CHROMIUM)
    number = attempt(run, server, tmp_path, passes=True)
    async with chromium(tmp_path) as page:
        await page.open(f"{server.url}/submissions/{number}?theme=colour-blind")
        await page.until(ENDED)
        assert await page.run("document.documentElement.dataset.theme") == "colour-blind"
        seen = {}
        for theme in ("colour-blind", "high-contrast", "pink", ""):
            await page.run(f"document.documentElement.dataset.theme = '{theme}'")
            seen[theme] = tuple(await page.run(COLOURS))
        await page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-contrast", "value": "more"}])
        assert tuple(await page.run(COLOURS)) == seen["high-contrast"]
        assert page.complaints == []
    assert seen[""] == seen["pink"]
    assert len(set(seen.values())) == 3


@pytest.mark.thorough
async def test_demo_leaves_no_dead_link(command: Commands) -> None:
    """The page goes with the demo's server: no address, no link, and the command that starts another one."""
    async with Terminal(command, "demo", columns=80) as tty:
        assert await tty.end(60) == 0, tty.text
        assert "next: subcli serve" in tty.text
        assert "http" not in tty.text
        assert b"\x1b]8;" not in tty.raw
