"""Pages as the server renders them: what they show to whom, and that everything on them is text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from subcli.server.accounts.permissions import Role
from tests.server.conftest import Live, complete, make_problem, result, update
from tests.server.pages.test_logins import enter

EVIL = "<img src=x onerror=alert(1)>\u202egnp.exe\u0007"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def rows(page: str) -> list[int]:
    """The ids in the list of submissions."""
    return [int(each) for each in re.findall(r'data-id="(\d+)"', page)]


async def test_home_of_a_student(start: Callable[..., Any]) -> None:
    """Problems for everybody; after a login one's own submissions, and nobody else's."""
    async with start(auth=True) as live:
        await live.be("eve")
        await live.submit()
        await live.be("ada")
        number = await live.submit()
        await live.ended(number)
        del live.http.headers["Authorization"]
        stranger = (await live.http.get("/")).text
        assert 'href="problems/echo"' in stranger
        assert 'action="./login"' in stranger
        assert rows(stranger) == []
        await enter(live, "ada")
        page = (await live.http.get("/")).text
        assert rows(page) == [number]
        assert "✓ passed" in page
        assert "2/2" in page
        assert 'data-live="own"' in page
        assert 'name="user"' not in page
        assert rows((await live.http.get("/?verdict=failed")).text) == []
        for foreign in ("eve", "nobody"):
            refused = await live.http.get("/", params={"user": foreign}, headers=HTML)
            assert refused.status_code == 403
            assert "Only teachers may see other users&#39; submissions." in refused.text


@pytest.mark.thorough
async def test_home_of_a_teacher(start: Callable[..., Any]) -> None:
    """Everybody's, with filters, in pages."""
    problems = {"echo": make_problem(), "other": replace(make_problem(), id=8, slug="other", title="Other")}
    async with start(auth=True, problems=problems) as live:
        numbers = {}
        for name in ("ada", "bob"):
            await live.be(name)
            numbers[name] = [await live.submit(), await live.submit(problem="other")]
            for number in numbers[name]:
                await live.ended(number)
        live.add_user("eve", role=Role.TEACHER)
        await enter(live, "eve")
        everything = sorted((*numbers["ada"], *numbers["bob"]), reverse=True)
        page = (await live.http.get("/")).text
        assert rows(page) == everything
        assert 'data-live="all"' in page
        for query, found in (
            ("user=ADA", [*reversed(numbers["ada"])]),
            ("problem=other", [numbers["bob"][1], numbers["ada"][1]]),
            ("verdict=passed", everything),
            ("verdict=failed", []),
            ("user=bob&problem=echo&verdict=passed", numbers["bob"][:1]),
            ("user=+&problem=&verdict=", everything),
        ):
            assert rows((await live.http.get(f"/?{query}")).text) == found, query
        unknown = await live.http.get("/?user=<b>")
        assert unknown.status_code == 200
        assert "There is no user &#39;&lt;b&gt;&#39;." in unknown.text


async def test_pages_of_the_list(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ones are behind a link that keeps the filters; what is no cursor is refused with a page."""
    monkeypatch.setattr("subcli.server.pages.home._ON_A_PAGE", 2)
    async with start() as live:
        numbers = [await live.submit() for _ in range(5)]
        for number in numbers:
            await live.ended(number)
        address, seen = "/?verdict=passed", []
        for _ in range(3):
            page = (await live.http.get(address)).text
            seen.append(rows(page))
            older = re.search(r'href="\./(\?[^"]*)" rel="next"', page)
            address = "/" + older[1].replace("&amp;", "&") if older else ""
        assert seen == [numbers[:-3:-1], numbers[2:0:-1], numbers[:1]]
        assert not address
        assert 'data-live=""' in page
        wrong = await live.http.get("/?cursor=x", headers=HTML)
        assert (wrong.status_code, wrong.headers["content-type"]) == (422, "text/html; charset=utf-8")


@pytest.mark.thorough
async def test_submission_without_scripts(live: Live) -> None:
    """The verdict once, the tests in the order in which they ran, why they failed, and the code with a note there."""
    number = await live.submit("wait", file_name="mine.py")
    await live.until(lambda: live.judge.running == 1)
    analysis = {
        "type": "error_analysis",
        "test_name": "Second",
        "error": "KeyError: 7",
        "analysis": "A dictionary does not have this key.",
        "suggestions": ["Look first."],
        "location": {"file": "mine.py", "line": 1},
    }
    for event in (
        update("testing", total_tests=3),
        result("First"),
        result("Second", "failed", message="no answer", expected=[1, 2], actual=EVIL),
        analysis,
        result("Third"),
        complete("failed", total_tests=3, passed=2, failed=1, duration_ms=420),
    ):
        live.judge.events.put_nowait(event)
    await live.ended(number)
    page = (await live.http.get(f"/submissions/{number}")).text
    assert page.count("✗ failed") == 2  # the title and the verdict
    assert "2 of 3 tests passed in 420 ms" in page
    assert page.index("First") < page.index(">Second</td>") < page.index("Third")
    for text in ("no answer", "[1, 2]", "mine.py:1", "A dictionary does not have this key.", "Look first."):
        assert text in page
    assert '<span class="note text">Second: KeyError: 7</span>' in page
    assert re.search(r'<time datetime="20[0-9T:-]+Z">', page)
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert not set("\u202e\u0007") & set(page)


@pytest.mark.thorough
async def test_runs_of_a_submission(start: Callable[..., Any]) -> None:
    """The latest one is shown, with the history; earlier ones stay as they were. A run that never was is 404."""
    async with start(auth=True) as live:
        await live.be("ada")
        number = await live.submit("wait")
        await live.until(lambda: live.judge.running == 1)
        for event in (
            update("testing", total_tests=2),
            result("One", "failed", message="wrong test"),
            complete("failed"),
        ):
            live.judge.events.put_nowait(event)
        await live.ended(number)
        await enter(live, "ada")
        page = (await live.http.get(f"/submissions/{number}")).text
        assert "Runs</h2>" not in page
        await live.be("eve", Role.TEACHER)
        body = {"submissions": [number], "dry_run": False, "key": "a-key-of-a-test"}
        assert (await live.http.post("/api/rejudges", json=body)).json()["queued"] == 1
        await live.until(lambda: live.judge.running == 1)
        for event in (update("testing", total_tests=2), result("One"), complete("passed", passed=2)):
            live.judge.events.put_nowait(event)
        await live.ended(number)
        del live.http.headers["Authorization"]
        for address, state, has_failed in (("", "found", False), ("?run=2", "found", False), ("?run=1", "kept", True)):
            page = (await live.http.get(f"/submissions/{number}{address}")).text
            assert f'data-state="{state}"' in page
            assert "judged 2 times" in page
            assert ("wrong test" in page) == has_failed, address
            assert ("This is run 1 of 2." in page) == has_failed, address
            assert "✗ failed" in page
            assert "✓ passed" in page
        for address in ("?run=3", "?run=0", "?run=x"):
            assert (await live.http.get(f"/submissions/{number}{address}", headers=HTML)).status_code in (404, 422)


@pytest.mark.thorough
async def test_foreign_and_absent_submissions_are_alike(start: Callable[..., Any]) -> None:
    """For a student; whoever is not logged in sees the same for both as well. A teacher sees what is there."""
    async with start(auth=True) as live:
        await live.be("owner")
        foreign = await live.submit("a secret")
        absent = foreign + 1

        async def seen() -> list[tuple[int, str]]:
            pages = [(number, await live.http.get(f"/submissions/{number}")) for number in (foreign, absent)]
            named = r"(#|submissions/|watch ){}\b"
            return [(page.status_code, re.sub(named.format(number), r"\1N", page.text)) for number, page in pages]

        live.http.headers.pop("Authorization")
        one, other = await seen()
        assert one == other
        assert one[0] == 200
        assert 'action="../login"' in one[1]
        live.add_user("ada")
        await enter(live, "ada")
        one, other = await seen()
        assert one == other
        assert one[0] == 404
        assert "There is no submission #N, or it is not yours." in one[1]
        live.add_user("eve", role=Role.TEACHER)
        await live.http.post("/logout", headers={"Origin": live.url})
        await enter(live, "eve")
        one, other = await seen()
        assert (one[0], other[0]) == (200, 404)
        assert "a secret" in one[1]


async def test_a_link_shows_no_code(start: Callable[..., Any]) -> None:
    """Not on the page either."""
    async with start(auth=True) as live:
        await live.be("ada")
        number = await live.submit("a secret")
        made = (await live.http.post(f"/api/submissions/{number}/links", json={})).json()
        live.http.headers["Authorization"] = f"Bearer {made['url'].partition('#link=')[2]}"
        page = await live.http.get(f"/submissions/{number}")
        assert page.status_code == 200
        assert "a secret" not in page.text


async def test_a_link_shows_no_list(start: Callable[..., Any]) -> None:
    """Nor does any page but that of its submission show more than to somebody who is not logged in."""
    limited = {"echo": replace(make_problem(), max_attempts=5)}
    async with start(auth=True, problems=limited) as live:
        await live.be("ada", Role.TEACHER)
        await live.ended(await live.submit())
        number = await live.submit()
        await live.ended(number)
        made = (await live.http.post(f"/api/submissions/{number}/links", json={})).json()
        del live.http.headers["Authorization"]
        paths = (
            "/",
            "/?problem=echo",
            "/?verdict=passed",
            "/?user=ada",
            "/problems/echo",
            f"/submissions/{number - 1}",
        )
        seen = [await live.http.get(path) for path in paths]
        live.http.headers["Authorization"] = f"Bearer {made['url'].partition('#link=')[2]}"
        for path, before in zip(paths, seen, strict=True):
            page = await live.http.get(path)
            assert rows(page.text) == [], path
            assert 'class="filters"' not in page.text, path
            if page.status_code == 200:
                assert len(page.text) <= len(before.text) + 300, path


async def test_problem_page(start: Callable[..., Any]) -> None:
    """The statement, the languages and how to submit; its text is never markup."""
    evil = replace(make_problem(), title=EVIL, description=f"# {EVIL}\n\nSay *it* again.\n\n{EVIL}")
    async with start(auth=True, problems={"echo": evil}) as live:
        for name in ("echo", "7"):
            page = (await live.http.get(f"/problems/{name}")).text
            assert "Say <em>it</em> again." in page
            assert f"subcli submit solution.py --problem echo --server {live.url}" in page
            assert "<img" not in page
            assert not set("\u202e\u0007") & set(page)
        missing = await live.http.get("/problems/%3Cb%3E", headers=HTML)
        assert missing.status_code == 404
        assert "There is no problem &#39;&lt;b&gt;&#39;." in missing.text


@pytest.mark.thorough
async def test_problem_that_closes(start: Callable[..., Any]) -> None:
    """The page says until when, or since when, and how many submissions are left to whoever looks."""
    soon = datetime.now(UTC) + timedelta(days=1)
    problems = {
        "echo": replace(make_problem(), closes=soon, max_attempts=3),
        "old": replace(make_problem(), id=8, slug="old", closes=soon - timedelta(days=2)),
    }
    async with start(auth=True, problems=problems) as live:
        await live.be("ada")
        await live.ended(await live.submit())
        del live.http.headers["Authorization"]
        page = (await live.http.get("/problems/echo")).text
        assert "<dt>Submissions</dt><dd>3</dd>" in page
        assert f'<dt>Closes</dt><dd><time datetime="{soon:%Y-%m-%dT%H:%M}' in page
        assert "<dt>Closed</dt>" in (await live.http.get("/problems/old")).text
        await enter(live, "ada")
        assert "<dt>Submissions</dt><dd>2 of 3 left</dd>" in (await live.http.get("/problems/echo")).text


@pytest.mark.parametrize("path", ["/nothing", "/submissions/abc", "/submissions/0", "/problems/none", "/a/b/c"])
async def test_errors_are_pages_for_browsers(live: Live, path: str) -> None:
    """And JSON for programs. The page finds its styles from wherever it is."""
    page = await live.http.get(path, headers=HTML)
    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Not found</h1>" in page.text
    up = "../" * (path.count("/") - 1) or "./"
    assert f'href="{up}static/pages.css"' in page.text
    for accept in ("application/json", "*/*", ""):
        answer = await live.http.get(path, headers={"Accept": accept})
        assert answer.status_code == 404
        assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("path", ["/api/nothing", "/api/submissions/x", "/api/submissions/9", "/static/none.js"])
async def test_errors_of_the_api_stay_json(live: Live, path: str) -> None:
    """Whoever asks."""
    answer = await live.http.get(path, headers=HTML)
    assert answer.status_code in (404, 422)
    assert answer.json()["detail"]


@pytest.mark.thorough
async def test_no_address_leaves_the_place(start: Callable[..., Any]) -> None:
    """Every address on a page is relative, so that a proxy may show the server below any path; no host is named."""
    async with start(auth=True) as live:
        await live.be("ada")
        number = await live.submit()
        await live.ended(number)
        await enter(live, "ada")
        for path in ("/", f"/submissions/{number}", "/problems/echo", "/nothing", "/login"):
            response = await live.http.get(path, headers=HTML, follow_redirects=True)
            for address in re.findall(r'(?:href|src|action)="([^"]*)"', response.text):
                assert re.match(r"\.{1,2}/|#|\?|[a-z]+/|docs\Z", address), (path, address)
            policy = response.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "form-action 'self'" in policy
            assert response.headers["cache-control"] == "no-store"
