"""The page of a submission, and the React hook of the specification, in a real Chromium."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.output.playhouse.script import CASES, GROUPS

from .browser import ABSENT, CHROMIUM, ENDED, Page, chromium
from .conftest import SOLUTIONS, Run, Served, needs

JS = Path(__file__).parent / "js"
QUICK = SOLUTIONS.parents[1] / "lru-cache/solutions/passing.py"
TESTS = "[...document.querySelectorAll('#tests tr')].map(row => row.innerText.trim().split(/\\s+/)[1])"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A tab that must not complain."""
    needs("chromium", CHROMIUM)
    async with chromium(tmp_path) as page:
        yield page
        assert page.complaints == []


def submit(run: Run, server: Served, path: Path, problem: str, **options: object) -> None:
    """Hand in a bundled solution, and do not wait."""
    words = ("submit", str(path), "--problem", problem, "--no-watch", "--server", server.url)
    done = run(*words, **options)
    assert done.returncode == 0, done.stderr


@pytest.mark.thorough
@pytest.mark.long
async def test_page_survives_server_restart(page: Page, server: Served, run: Run) -> None:
    """It shows stages and results live, reconnects after the server was killed, and shows everything."""
    submit(run, server, SOLUTIONS / "failing.py", "leader-election")
    await page.open(f"{server.url}/submissions/1")
    await page.until("document.querySelectorAll('#tests tr').length >= 2")
    assert await page.run("document.getElementById('connection').dataset.state") == "open"
    assert await page.run("document.querySelector('#stages [aria-current=step]').innerText") == "testing"
    assert "of 10" in await page.text()
    server.stop(signal.SIGKILL)
    await page.until("document.getElementById('connection').innerText.includes('reconnecting in')")
    server.start()
    await page.until(ENDED, 60)
    text = await page.text()
    # The verdict once; in the counts and in the table, the word stands for tests.
    assert text.count("✗ failed") == 1
    assert "8 of 10 tests passed in" in text
    assert "Leader Election · python · submitted" in text
    # Judged again in the same log: ten rows still, in the order in which they ran, as in a terminal.
    listed = run("status", "1", "--json", "--server", server.url)
    assert await page.run(TESTS) == [test["status"] for test in json.loads(listed.stdout)["tests"]]
    assert "attempt 2" in text
    assert await page.run("document.title") == "✗ failed · #1 leader-election"
    # Each failure with its reason, place and advice.
    cards = await page.run("[...document.querySelectorAll('article')].map(card => card.innerText)")
    assert len(cards) == 2
    assert all("expected" in card and "failing.py:90" in card and "term" in card for card in cards)
    assert await page.run("document.getElementById('news').getAttribute('aria-live')") == "polite"
    # Where no socket can be had, asking gives the same.
    asked = await page.run(POLLED)
    assert asked == {"verdict": "failed", "counts": {"passed": 8, "failed": 2, "error": 0, "skipped": 0}, "analyses": 2}
    # On a phone nothing sticks out to the side.
    await page.ask("Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=2, mobile=True)
    assert await page.run("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.thorough
async def test_page_tells_a_shared_cause_once(page: Page, server: Served, run: Run, tmp_path: Path) -> None:
    """The card of the first test tells it and names the others, which refer to it."""
    (tmp_path / "mine.py").write_text("import sys\n\nfor line in sys.stdin:\n    print({}[0])\n")
    submit(run, server, tmp_path / "mine.py", "lru-cache")
    await page.open(f"{server.url}/submissions/1")
    await page.until(ENDED, 60)
    cards = await page.run("[...document.querySelectorAll('article')].map(card => card.innerText)")
    assert len(cards) == 9
    assert [card.count("a dictionary does not have this key") for card in cards] == [1] + [0] * 8
    assert "The same cause: Says none for what it does not hold, " in cards[0]
    assert all("The same cause as in Stores and returns values." in card for card in cards[1:])
    assert all("mine.py:4" in card for card in cards)


CHOSEN = "document.getElementById('diagram-detail').innerText"
WIDTH = "Number(document.querySelector('#diagram svg').getAttribute('width'))"
EVIL_TRACE = """
(async () => {
  const { showDiagram } = await import('/static/diagram.js');
  const evil = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</' + 'script>\\u202e\\u0007';
  const message = (no, rest) => ({ no, ms: no, src: evil, dest: 'n2', body: { type: evil, [evil]: [evil] }, ...rest });
  const drawn = [];
  const empty = { nodes: 3, messages: 'x', marks: {} };
  for (const trace of [null, {}, empty, { nodes: [evil, 'n2', 7], violation: evil, seed: evil, moment_no: evil,
      places: [{ file: evil, line: evil, text: evil }], marks: [{ no: 1, ms: 1, kind: evil, node: evil, text: evil },
      { no: 2, ms: 2, kind: 'partition', groups: [[evil]] }, { no: 'x' }, null],
      messages: [message(3, { arrived_no: 4, arrived_ms: 9, place: 0 }), message(5, { fate: evil, broke_rule: true }),
      message(6, { body: evil, fate: 'lost' }), message(7, { dest: 'gone' }), message('8', {}), null,
      message(1e300, {})] }]) {
    document.getElementById('diagram').close();
    showDiagram(trace, evil);
    const messages = [...document.querySelectorAll('#diagram .message')];
    for (const one of messages) one.dispatchEvent(new MouseEvent('click', { bubbles: true }));
    drawn.push(messages.length);
  }
  const text = document.getElementById('diagram').innerText;
  document.getElementById('diagram').close();
  const strange = document.querySelectorAll('dialog img, dialog script, dialog a').length;
  return { drawn, text, pwned: window.pwned ?? null, strange };
})()
"""


@pytest.mark.thorough
async def test_picture_of_a_failure(page: Page, failed: Served) -> None:
    """A dialog with a picture that zooms; a message shows its body and the line that sent it, by mouse and by key."""
    await page.open(f"{failed.url}/submissions/1")
    await page.until("document.querySelectorAll('button.draw').length === 2", 60)
    await page.run(
        "[...document.querySelectorAll('button.draw')].find(one => one.dataset.name === 'Split Vote').click()"
    )
    await page.until("document.getElementById('diagram').open")
    text = await page.run("document.getElementById('diagram').innerText")
    assert "160 ms: n1 voted twice in term 1: for itself and for n2. The test noticed at 200 ms." in text
    assert "seed 51" in text
    shown = await page.run("[...document.querySelectorAll('#diagram svg text')].map(one => one.textContent)")
    assert {"n1", "n2", "n3", "n4", "150 ms", "160 ms", "candidate in term 1"} <= set(shown)
    broke = await page.run(
        "[...document.querySelectorAll('#diagram .broke[role]')].map(one => one.getAttribute('aria-label'))"
    )
    assert broke == [
        "n1 to n2, sent at 150 ms, arrived at 160 ms, this broke the rule: request_vote term=1",
        "n1 to n2, sent at 160 ms, arrived at 170 ms, this broke the rule: vote term=1 granted=true",
    ]
    arrow = "[...document.querySelectorAll('#diagram .broke .reach')][1].getBoundingClientRect()"
    box = await page.run(f"((box) => [box.x + box.width / 2, box.y + box.height / 2])({arrow})")
    for kind in ("mousePressed", "mouseReleased"):
        await page.ask("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
    said = await page.run(CHOSEN)
    assert '"granted": true' in said
    assert "failing.py:90" in said
    assert 'self.send(src, "vote"' in said
    assert "on_request_vote" in said
    await press(page, "ArrowDown")
    assert await page.run(CHOSEN) != said
    await press(page, "ArrowUp")
    assert await page.run(CHOSEN) == said
    fitting = await page.run(WIDTH)
    await press(page, "+")
    larger = await page.run(WIDTH)
    await page.run("document.getElementById('diagram-farther').click()")
    assert await page.run(WIDTH) < larger > fitting
    # On a phone nothing sticks out to the side, and the picture can still be read.
    await page.ask("Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=2, mobile=True)
    await press(page, "0")
    assert await page.run("document.documentElement.scrollWidth <= innerWidth")
    assert await page.run("document.getElementById('diagram').getBoundingClientRect().right <= innerWidth")
    assert await page.run(WIDTH) >= 500
    await press(page, "Escape")
    await page.until("!document.getElementById('diagram').open")
    seen = await page.run(EVIL_TRACE)
    assert seen["drawn"] == [0, 0, 0, 3]
    assert (seen["pwned"], seen["strange"]) == (None, 0)
    assert not set("\u202e\x07") & set(seen["text"])


async def press(page: Page, key: str) -> None:
    """Press a key, as a person does."""
    for kind in ("keyDown", "keyUp"):
        await page.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=27 if key == "Escape" else 0)


@pytest.mark.thorough
async def test_docs_of_the_api(page: Page, server: Served) -> None:
    """Swagger UI works under the strict policy, and loads nothing from elsewhere."""
    await page.open(f"{server.url}/docs")
    await page.until("document.querySelectorAll('.opblock').length > 5")
    loaded = await page.run("performance.getEntriesByType('resource').map(entry => new URL(entry.name).origin)")
    assert set(loaded) <= {server.url, "null"}
    assert page.complaints == []


HOSTILE = """
(async () => {
  const { Submission } = await import('/static/state.js');
  const { show } = await import('/static/view.js');
  const evil = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</' + 'script>\\u202egnp.exe\\u0007';
  const picture = new Submission(7);
  picture.describe({ problem: evil, language: evil });
  const took = [
    { type: 'status_update', status: evil },
    { type: 'test_result', test_name: evil, status: 'failed', message: evil, expected: evil, actual: { [evil]: evil },
      output: evil, test_type: evil, duration_ms: evil, outcome: evil, group: evil, score: evil, max_score: {},
      cpu_ms: evil, memory_kb: evil, input: evil, rerun: evil },
    { type: 'test_result', test_name: 'two', status: 'failed', outcome: 'constructor', group: '__proto__', score: 1e300,
      expected: evil + '\\n1', actual: evil + '\\n2', expected_at: -5, actual_at: 1e9, cpu_ms: -1, memory_kb: NaN },
    { type: 'test_result', test_name: '__proto__', status: 'constructor' },
    { type: 'error_analysis', error: evil, analysis: evil + '\\n\\n' + evil, suggestions: [evil, null, {}],
      test_name: evil, location: { file: evil, line: evil } },
    { type: 'error_analysis', error: 'x', analysis: { explanation: evil, suggestions: 'none' } },
    { type: evil }, { type: '__proto__' }, { type: 'constructor' },
    { type: 'test_result' }, { type: 'status_update', status: 3 }, null, [], 7, 'x',
    { type: 'test_result', test_name: 'of another', status: 'passed', submission_id: 8 },
    { type: 'complete', final_status: evil, summary: { total_tests: evil, passed: evil, duration_ms: evil, score: evil,
      groups: [evil, null, { name: evil, outcome: evil, score: evil }, { name: 7 }] } },
  ].map((message) => picture.receive(message));
  show(picture);
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { took, pwned: window.pwned ?? null, text: document.body.innerText, title: document.title,
    strange: document.querySelectorAll('main img, main script, main iframe, main a').length };
})()
"""

SCORED = """
(async () => {
  const { Submission } = await import('/static/state.js');
  const { show } = await import('/static/view.js');
  const { comparison } = await import('/static/diff.js');
  const read = (messages) => {
    const picture = new Submission(7);
    for (const message of messages) picture.receive(message);
    show(picture);
  };
  const at = (id) => document.getElementById(id);
  const all = (selector, page = document) => [...page.querySelectorAll(selector)];
  const texts = (selector) => all(selector).map((one) => one.innerText.replace(/\\s+/g, ' ').trim());
  read(%s);
  const seen = { summary: at('summary').innerText, groups: texts('#group-rows tr'), tests: texts('#tests tr'),
    cards: texts('article'), marked: texts('.card mark'), unseen: [at('unshown').hidden] };
  // Characters are counted as the server does; without its word, the first token that differs is looked for.
  for (const test of [{ expected: '😀 é', actual: '😀 x', expected_at: 2, actual_at: 2 },
                      { expected: '1 \\n a b', actual: '1\\n a c' }])
    for (const part of comparison(test)) seen.marked.push(...all('mark', part).map((mark) => mark.textContent));
  read([{ type: 'test_result', test_name: 'a', status: 'passed' }, { type: 'complete', final_status: 'failed' }]);
  seen.unseen.push(at('unshown').hidden);
  return seen;
})()
"""


def _scored() -> list[dict[str, Any]]:
    """The messages about a submission with groups, points and tests of which only the outcome is told."""
    found: list[dict[str, Any]] = []
    for name, points, outcome, fields in CASES:
        status = outcome if outcome in ("passed", "skipped") else "failed"
        event: dict[str, Any] = {
            "type": "test_result",
            "test_id": name,
            "test_name": name,
            "status": status,
            "outcome": outcome,
        }
        event |= {"group": name.rpartition("/")[0], **fields}
        event |= {"score": points if status == "passed" else 0, "max_score": points} if points else {}
        if name == "secret/large/01":
            del event["message"]
        found.append(event)
    worth = {"score": 40, "max_score": 100, "pass_score": 60, "groups": GROUPS}
    summary = {"total_tests": 8, "passed": 4, "failed": 3, "duration_ms": 9400, **worth}
    return [*found, {"type": "complete", "final_status": "failed", "summary": summary}]


POLLED = """
(async () => {
  const [{ poll }, { Submission }, { Api }] = await Promise.all(
    ['follow', 'state', 'api'].map((name) => import(`/static/${name}.js`)));
  const picture = new Submission(1);
  await poll(picture, new Api(), () => {}, () => {});
  return { verdict: picture.verdict, counts: picture.counts, analyses: picture.analyses.size };
})()
"""

PROTOCOL = """
(async () => {
  const modules = ['follow', 'state'].map((name) => import(`/static/${name}.js`));
  const [{ follow }, { Submission }] = await Promise.all(modules);
  const event = (seq, rest) => JSON.stringify({ submission_id: 7, seq, ...rest });
  const result = (seq) => event(seq, { type: 'test_result', test_name: `t${seq}`, status: 'passed' });
  const complete = event(6, { type: 'complete', final_status: 'passed', summary: {} });
  // What each socket says, and how it ends.
  const scripts = [['pong', 'ping', 'no JSON', result(1), result(1), result(3), result(4), [1006, '']],
    [result(5), result(4), complete, event(7, { type: 'status_update', status: 'testing' })]];
  const seen = { urls: [], sent: [], asked: [], said: [] };
  window.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    constructor(url) {
      seen.urls.push(url.pathname + url.search);
      setTimeout(() => this.play(scripts.shift()));
    }
    async play(script) {
      this.onopen();
      for (const step of script) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (typeof step === 'string') this.onmessage?.({ data: step });
        else this.onclose?.({ code: step[0], reason: step[1] });
      }
    }
    send(text) { seen.sent.push(text); }
    close() {}
  };
  const api = { loggedIn: false, async get(path) {
    seen.asked.push(path);
    return { events: [2, 3].map((seq) => JSON.parse(result(seq))) };
  } };
  const picture = new Submission(7);
  await follow(picture, api, (state) => seen.said.push(state), () => {});
  return { ...seen, said: [...new Set(seen.said)], tests: [...picture.tests.keys()], verdict: picture.verdict,
    seq: picture.seq };
})()
"""

PATIENCE = """
(async () => {
  const reconnect = await import('/static/reconnect.js');
  const { Submission } = await import('/static/state.js');
  const one = new Submission(7);
  const first = (epoch) => one.receive({ type: "status_update", status: "pending", submission_id: 7, seq: 1, epoch });
  return { logs: [first("a"), first("a"), first("b"), one.isSameLog("a", 0), one.isSameLog("b", 9), one.isSameLog()],
    delays: [1, 2, 3, 4, 5, 6].map((n) => reconnect.backoff(n, 0.5)),
    edges: [reconnect.backoff(5, 0), reconnect.backoff(5, 0.9999)],
    meanings: [1000, 1001, 1006, 1011, 1012, 1013, 4003, 4004, 4010, 4029, 1002, 1003, 1007, 1008, 1010, 4100, 4500]
      .map(reconnect.meaning),
    told: [reconnect.retryAfterFromReason('retry_after=7'), reconnect.retryAfterFromReason('no')],
    limited: [[1, 60], [1, 9e9], [3, 1]].map(([n, told]) => reconnect.rateLimitDelay(n, 0.5, told)) };
})()
"""


@pytest.mark.thorough
async def test_page_resists_hostile_messages(page: Page, server: Served) -> None:
    """Text is never markup, invalid messages change nothing, and delays and logs are as the contract says."""
    await page.open(f"{server.url}/submissions/1")
    await page.until(ABSENT)
    seen = await page.run(HOSTILE)
    assert seen["pwned"] is None
    assert seen["strange"] == 0
    assert "<img src=x" in seen["text"]
    assert "\\u202egnp.exe\\u0007" in seen["text"]
    assert not set("\u202e\x07") & set(seen["text"] + seen["title"])
    assert seen["took"] == ["new"] * 6 + ["seen"] * 3 + ["bad"] * 7 + ["new"]
    scored = await page.run(SCORED % json.dumps(_scored()))
    assert scored["summary"] == "4 of 8 tests passed, 40 of 100 points (60 needed) in 9.40 s"
    assert scored["groups"] == [
        "sample ✓ passed 2/2",
        "secret ✗ failed WA wrong answer 2/6 40/100",
        "secret/small ✓ passed 2/2 40/40",
        "secret/medium ✗ failed WA wrong answer 0/2 0/20",
        "secret/large ✗ failed TLE time limit exceeded 0/2 0/40",
    ]
    names = [next(name for name, *_ in CASES if name in test) for test in scored["tests"]]
    assert names == [name for name, *_ in CASES]
    assert "✗ failed TLE time limit exceeded secret/large/01 cpu 2.00 s · 128 MB 0/20 2.84 s" in scored["tests"]
    assert "– skipped secret/large/02 0/20" in scored["tests"]
    wrong, crashed, secret = scored["cards"]
    assert wrong.startswith("secret/medium/01 WA wrong answer · 420 ms · cpu 401 ms · 63 MB · 0 of 10 points")
    assert "− expected: 8 17 + actual: 8 18 21 4 Input 2 3 5" in wrong
    assert wrong.endswith("Run it again: subcli test --case secret/medium/01")
    assert "runtime error" in crashed
    assert "Only the outcome is shown" in secret
    assert "secret/large/01: TLE time limit exceeded" in secret
    assert scored["marked"] == ["17", "18", "é", "x", "b", "c"]
    assert scored["unseen"] == [True, False]
    # On a phone nothing sticks out to the side.
    await page.ask("Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=2, mobile=True)
    assert await page.run("document.documentElement.scrollWidth <= innerWidth")
    # `pong` is no message, `ping` wants one, a hole is filled, a lost connection goes on after the last event.
    course = await page.run(PROTOCOL)
    assert course["urls"] == ["/ws/submissions/7", "/ws/submissions/7?after_seq=4"]
    assert course["sent"] == ["pong"]
    assert course["asked"] == ["/submissions/7/events?after_seq=1"]
    assert course["said"] == ["connecting", "open", "reconnecting", "closed"]
    assert course["tests"] == ["t1", "t2", "t3", "t4", "t5"]
    assert (course["verdict"], course["seq"]) == ("passed", 6)
    rules = await page.run(PATIENCE)
    assert rules["delays"] == [2, 4, 8, 16, 30, 30]
    assert rules["edges"] == [24, pytest.approx(36, abs=0.01)]
    retry, stop = ["retry"], ["stop"]
    assert rules["meanings"] == [*retry * 6, "login", "absent", "replaced", "limited", *stop * 5, *retry, *stop]
    assert rules["logs"] == ["new", "seen", "replaced", False, False, True]
    assert rules["told"] == [7, 0]
    assert rules["limited"] == [60, 300, 8]


@pytest.fixture
def built_hook(tmp_path: Path, serve: Callable[..., Served]) -> Iterator[tuple[str, Served]]:
    """The URL of a Vite page with the specification's hook, and the server that it is built for, which allows it."""
    for package in ("vite", "react", "react-dom"):
        needs(f"the npm package {package} in tests/system/js", (JS / "node_modules" / package).is_dir())
    source = tmp_path / "hook"
    shutil.copytree(JS / "hook", source)
    (source / "node_modules").symlink_to(JS / "node_modules")
    hook = (source / "useSubmissionUpdates.ts").read_text()
    (source / "page.tsx").write_text(hook + (source / "page.tsx").read_text())
    handler = functools.partial(_Quiet, directory=str(source / "dist"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        origin = f"http://127.0.0.1:{served.server_port}"
        server = serve("--allow-origin", origin)
        env = {**os.environ, "VITE_WS_URL": server.url.replace("http", "ws")}
        vite = ["node", str(JS / "node_modules/vite/bin/vite.js"), "build"]
        built = subprocess.run(vite, cwd=source, env=env, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"{origin}/index.html", server
        served.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test says what matters."""


@pytest.mark.thorough
async def test_react_hook(page: Page, run: Run, built_hook: tuple[str, Served]) -> None:
    """The unchanged hook of the specification gets every event up to `complete`."""
    url, server = built_hook
    submit(run, server, QUICK, "lru-cache")
    await page.open(url)
    await page.until("document.getElementById('status')?.innerText === 'connected'")
    await page.until("document.getElementById('status').innerText === 'disconnected'", 60)
    updates = json.loads(await page.run("document.getElementById('updates').innerText"))
    assert [update["seq"] for update in updates] == list(range(1, len(updates) + 1))
    assert [update["type"] for update in updates].count("test_result") == 9
    assert updates[-1]["type"] == "complete"
    assert updates[-1]["final_status"] == "passed"
