"""All pages in a real Chromium: accessible, live, logged in over a reload, and closed to other sites' pages."""

from __future__ import annotations

import functools
import http.server
import itertools
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from .browser import CHROMIUM, ENDED, Page, chromium
from .conftest import LRU, JudgedOnce, Run, Served, needs

AXE = Path(__file__).parent / "js/node_modules/axe-core/axe.min.js"
PASSWORD = "has-a-long-password"
WHO = "document.querySelector('nav strong').innerText"
VIOLATIONS = """
axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.map(
  ({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join('; ')}`))
"""
SIZES = [(360, "light"), (360, "dark"), (1200, "light"), (1200, "dark")]


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """A tab that must not complain."""
    needs("chromium", CHROMIUM)
    async with chromium(tmp_path) as page:
        yield page
        assert page.complaints == []


@pytest.fixture
def guarded(serve: Callable[..., Served], judged: JudgedOnce, tmp_path: Path, run: Run) -> Served:
    """A server with logins, whose submission 1 failed and is nobody's, with a student and a teacher."""
    (tmp_path / "data0").mkdir(mode=0o700)
    shutil.copy(judged.database, tmp_path / "data0")
    server = serve("--auth", "--sandbox", "none", "--problems", str(judged.problems))
    for name, role in (("ada", "student"), ("eve", "teacher")):
        words = ("user", "add", name, "--role", role, "--password-stdin", "--data-dir", str(server.data_dir))
        added = run(*words, stdin=None, input=f"{name}-{PASSWORD}\n")
        assert added.returncode == 0, added.stderr
    return server


async def opened(page: Page, url: str, wanted: str = "true") -> None:
    """Go to an address, and wait until the page there is ready."""
    await page.run("void (document.documentElement.dataset.left = '')")
    await page.open(url)
    await page.until(
        f"document.readyState === 'complete' && !('left' in document.documentElement.dataset) && ({wanted})"
    )


async def log_in(page: Page, name: str, password: str, wanted: str) -> None:
    """Send the form of the login."""
    typed = (
        "void (document.documentElement.dataset.left = '', "
        f"document.getElementById('user').value = '{name}', document.getElementById('password').value = '{password}', "
        "document.getElementById('login').requestSubmit())"
    )
    await page.run(typed)
    await page.until(
        f"document.readyState === 'complete' && !('left' in document.documentElement.dataset) && ({wanted})"
    )


async def accessible(page: Page) -> list[str]:
    """What axe finds on the page, in each size and colours; and what sticks out to the side."""
    found: list[str] = []
    await page.run(AXE.read_text() + ";0")
    for width, scheme in SIZES:
        await page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        await page.ask("Emulation.setDeviceMetricsOverride", **metrics)
        where = f"{await page.run('location.pathname')} at {width} px, {scheme}"
        found += [f"{where}: {each}" for each in await page.run(VIOLATIONS)]
        if not await page.run("document.documentElement.scrollWidth <= innerWidth"):
            found.append(f"{where}: sticks out to the side")
    return found


@pytest.mark.thorough
async def test_pages_are_accessible(page: Page, guarded: Served) -> None:
    """axe-core finds nothing on any page, on a phone and on a desktop, light and dark, before and after the login."""
    needs("the npm package axe-core in tests/system/js", AXE.is_file())
    url = guarded.url
    await opened(page, f"{url}/")
    found = await accessible(page)
    for path in ("/problems/leader-election", "/problems/lru-cache", "/nothing", "/submissions/1"):
        await opened(page, f"{url}{path}")
        found += await accessible(page)
    await log_in(page, "eve", "wrong", "document.getElementById('login-error').innerText !== ''")
    found += await accessible(page)
    await log_in(page, "eve", f"eve-{PASSWORD}", ENDED)
    found += await accessible(page)
    await opened(page, f"{url}/", "document.querySelector('#rows tr') !== null")
    found += await accessible(page)
    await opened(page, f"{url}/?verdict=passed&user=nobody")
    found += await accessible(page)
    assert not found, "\n".join(found)


@pytest.mark.thorough
async def test_login_is_kept_over_a_reload(page: Page, guarded: Served, run: Run) -> None:
    """It leads back to the page, no script can read it, no address carries a token, and logging out ends it."""
    await page.ask("Page.addScriptToEvaluateOnNewDocument", source=RECORD_SOCKETS)
    await opened(page, f"{guarded.url}/submissions/1")
    await log_in(page, "ada", "wrong", "document.getElementById('login-error').innerText !== ''")
    # Whose it is not learns no more than that there is none.
    await log_in(page, "ada", f"ada-{PASSWORD}", "document.body.innerText.includes('or it is not yours')")
    # Elsewhere, another tab logs out: the socket ends, and the page says so.
    await opened(page, f"{guarded.url}/", "document.getElementById('connection-text').innerText === 'live'")
    await page.run("fetch('/logout', { method: 'POST' }).then(() => 0)")
    await page.until("document.getElementById('login') !== null")
    await opened(page, f"{guarded.url}/submissions/1")
    await log_in(page, "eve", f"eve-{PASSWORD}", ENDED)
    for _ in range(2):
        (socket,) = await page.run("urls")
        assert socket.startswith(f"{guarded.url.replace('http', 'ws')}/ws/submissions/1?")
        assert "token" not in socket
        assert await page.run("localStorage.length + sessionStorage.length + document.cookie.length") == 0
        assert await page.run(WHO) == "eve"
        await opened(page, f"{guarded.url}/submissions/1", ENDED)
    # The code, with a note where an analysis points to, and a link from the failure to that line.
    notes = await page.run("[...document.querySelectorAll('#code .note')].map((note) => note.innerText)")
    assert any("Split Vote" in note for note in notes)
    link = await page.run("document.querySelector('#cards dd a').hash")
    assert await page.run(f"document.querySelector('{link}').classList.contains('noted')")
    # The verdict is said once.
    assert (await page.text()).count("✗ failed") == 1
    await page.run("document.querySelector('nav form').requestSubmit()")
    await page.until("document.getElementById('login') !== null && location.pathname === '/'")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """The URL of a page of another program on this machine, which browsers take for the same site."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("<!doctype html><title>Another</title>")
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}/index.html"
        served.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test says what matters."""


RECORD_SOCKETS = """
window.urls = [];
window.WebSocket = class extends WebSocket { constructor(url) { super(url); urls.push(String(url)); } };
"""
SOCKET = """
new Promise((resolve) => {
  const socket = new WebSocket('%s');
  socket.onmessage = ({ data }) => resolve(data.slice(0, 40));
  socket.onclose = ({ code }) => resolve(code);
})
"""
FORM = """
new Promise((resolve) => {
  const frame = document.createElement('iframe');
  frame.name = 'target';
  const form = Object.assign(document.createElement('form'), { method: 'post', action: '%s', target: 'target' });
  document.body.append(frame, form);
  frame.onload = () => resolve(0);
  form.submit();
})
"""


@pytest.mark.thorough
async def test_pages_of_others_have_no_part_in_a_login(page: Page, guarded: Served, elsewhere: str) -> None:
    """The browser adds the cookie to what another port's page asks, and it does not count: no socket, no logout."""
    url = guarded.url
    await opened(page, f"{url}/login")
    await log_in(page, "eve", f"eve-{PASSWORD}", "location.pathname === '/'")
    sockets = [f"{url.replace('http', 'ws')}/ws/{path}" for path in ("submissions/1", "feed")]
    for socket in sockets:
        assert str(await page.run(SOCKET % socket)).startswith('{"')
    await opened(page, elsewhere)
    for socket in sockets:
        assert await page.run(SOCKET % socket) == 4003
    await page.run(
        f"fetch('{url}/logout', {{ method: 'POST', mode: 'no-cors', credentials: 'include' }}).then(() => 0)"
    )
    await page.run(f"fetch('{url}/api/submissions', {{ mode: 'no-cors', credentials: 'include' }}).then(() => 0)")
    await page.run(FORM % f"{url}/logout")
    page.complaints.clear()  # the browser says that the frame is refused
    await opened(page, f"{url}/")
    assert await page.run(WHO) == "eve"


@pytest.mark.thorough
async def test_home_page_is_live(page: Page, server: Served, run: Run) -> None:
    """A submission appears and gets its verdict without a reload; the focus stays where it was."""
    await opened(page, f"{server.url}/")
    await page.until("document.getElementById('connection-text').innerText === 'live'")
    await page.run("window.sameDocument = true")
    for number in (1, 2):
        done = run("submit", str(LRU), "--problem", "lru-cache", "--no-watch", "--server", server.url)
        assert done.returncode == 0, done.stderr
        row = f"document.querySelector('#rows tr[data-id=\"{number}\"]')?.innerText.includes('passed')"
        await page.until(row, 60)
        await page.run("document.querySelector('#rows a').focus()")
    assert await page.run("[...document.querySelectorAll('#rows tr')].map((row) => row.dataset.id)") == ["2", "1"]
    assert await page.run("window.sameDocument") is True


@pytest.mark.thorough
async def test_pages_without_scripts(page: Page, failed: Served) -> None:
    """Everything is there: problems, submissions, the verdict, the tests, why they failed, and the code."""
    await page.ask("Emulation.setScriptExecutionDisabled", value=True)
    texts = {}
    for path in ("/", "/problems/short-election", "/submissions/1"):
        await page.open(f"{failed.url}{path}")
        await page.until(f"location.pathname === '{path}' && document.readyState === 'complete'")
        texts[path] = await page.text()
    assert "✗ failed" in texts["/"]
    assert "How a node speaks" in texts["/problems/short-election"]
    shown = texts["/submissions/1"]
    for text in (
        "✗ failed",
        "1 of 3 tests passed",
        "Split Vote",
        "failing.py:90",
        "What went wrong",
        "Submitted code",
        "def ",
    ):
        assert text in shown, text


@pytest.mark.thorough
async def test_pages_by_keyboard(page: Page, failed: Served) -> None:
    """The first stop leads past the navigation, and each stop can be seen."""
    await opened(page, f"{failed.url}/submissions/1", ENDED)

    async def tab() -> str:
        for kind in ("keyDown", "keyUp"):
            await page.ask("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        return str(await page.run("document.activeElement.outerHTML.slice(0, 80)"))

    assert "Skip to the content" in await tab()
    assert await page.run("document.activeElement.getBoundingClientRect().left >= 0")
    for kind in ("keyDown", "keyUp"):
        await page.ask(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            text="\r" if kind == "keyDown" else "",
        )
    await page.until("location.hash === '#content'")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    for _ in itertools.repeat(None, 4):
        where = await tab()
        assert await page.run(outline) != "none", where
