"""A judge below a path of its host, `https://host/judge/`, as a proxy shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.browser import CHROMIUM, ENDED, chromium
from tests.system.command import Commands
from tests.system.conftest import SOLUTIONS, Run, Served, needs
from tests.system.scripted import Rest, scripted

SOLUTION = SOLUTIONS.parents[1] / "lru-cache/solutions/passing.py"


@pytest.fixture
def below(serve: Callable[..., Served]) -> Served:
    """A server below `/judge`."""
    return serve("--root-path", "/judge/")


@pytest.mark.thorough
def test_prefix_in_every_url(below: Served, run: Run) -> None:
    """Whether the proxy passes the prefix on or takes it off, what is printed has it."""
    assert below.url.endswith("/judge")
    page = f"{below.url}/submissions/1"
    done = run("submit", str(SOLUTION), "--problem", "lru-cache", "--plain", "--server", f"{below.url}/")
    assert done.returncode == 0, done.stderr
    assert page in done.stdout
    for server in (below.url, below.url.removesuffix("/judge")):
        at = ("--server", server)
        assert run("open", "1", "-q", *at).stdout == f"{page}\n"
        assert run("watch", "1", "-q", *at).stdout == "passed\n"
        assert page in run("status", "1", "--json", *at).stdout
    assert run("watch", page, "-q").stdout == "passed\n"
    assert run("status", f"{below.url}/api/submissions/1", "-q").stdout == "passed\n"


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["/judge?x", "judge/../x", "/a b", "/%2e", "//ä"])
def test_impossible_prefixes(run: Run, path: str) -> None:
    """2, and nothing is served."""
    done = run("serve", "--root-path", path, "--port", "0")
    assert done.returncode == 2
    assert "is not a valid path" in done.stderr


def test_a_prefix_that_is_a_path_of_the_server(run: Run) -> None:
    """2: requests to the one would be taken for the other."""
    done = run("serve", "--root-path", "/api/judge", "--port", "0")
    assert done.returncode == 2
    assert "cannot begin with /api, which is a path of the server itself" in done.stderr


@pytest.mark.thorough
async def test_page_below_the_prefix(below: Served, run: Run, tmp_path: Path) -> None:
    """Its links, requests and sockets stay below it, and so does the command that it shows."""
    needs("chromium", CHROMIUM)
    run("submit", str(SOLUTION), "--problem", "lru-cache", "--no-watch", "--server", below.url)
    page_url = f"{below.url}/submissions/1"
    async with chromium(tmp_path) as page:
        await page.open(page_url)
        await page.until(ENDED, 60)
        assert await page.run("document.getElementById('command').textContent") == f"subcli watch {page_url}"
        used = await page.run("performance.getEntriesByType('resource').map(entry => entry.name)")
        assert page.complaints == []
    assert used
    assert all(name.startswith(f"{below.url}/") for name in used), used


@pytest.mark.parametrize(
    ("answered", "printed"),
    [
        ("{host}/submissions/1", "{host}/judge/submissions/1"),
        ("{host}/judge/submissions/1", "{host}/judge/submissions/1"),
        ("{host}/pages/1", "{host}/pages/1"),
        ("https://pages.example/submissions/1", "https://pages.example/submissions/1"),
    ],
)
async def test_server_that_does_not_know_its_prefix(command: Commands, answered: str, printed: str) -> None:
    """The address by which it was reached is the one that works; a page elsewhere is left as it is."""
    rest = Rest(api="/judge/api")
    async with scripted(rest=rest) as server:
        rest.snapshot = {"submission_id": 1, "status": "testing", "url": answered.format(host=server.url)}
        done = await command("open", "1", "-q", "--server", f"{server.url}/judge/")
    assert done.out == printed.format(host=server.url) + "\n"
