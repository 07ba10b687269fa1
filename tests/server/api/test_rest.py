"""The REST API on a real server (contract, section 6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from subcli.server.log.pruning import Pruning
from tests.server.gateway.test_gateway import messages

pytestmark = pytest.mark.every_backend

BODY = {"problem": "echo", "language": "python", "source_code": "print()"}


async def post(live: Any, **changes: Any) -> httpx.Response:
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not None}
    response = await live.http.post("/api/submissions", json=body)
    assert isinstance(response, httpx.Response)
    return response


def sentence(response: httpx.Response) -> str:
    detail = response.json()["detail"]
    assert isinstance(detail, str)
    assert detail.endswith(".")
    return detail


async def test_info_lists_the_features(live: Any) -> None:
    """`/info` reports demo mode, and only the features of this server."""
    info = (await live.http.get("/api/info")).json()
    assert info["name"] == "subcli"
    assert info["demo"] is True
    assert info["features"] == [
        "resume",
        "idempotency",
        "feed",
        "traces",
        "output",
        "lists",
        "runs",
        "feed_all",
        "feed_output",
    ]


async def test_problems(live: Any) -> None:
    """A problem is found by id and by slug, with its languages in the author's order and a template."""
    [listed] = (await live.http.get("/api/problems")).json()["problems"]
    assert (listed["id"], listed["slug"], listed["languages"]) == (7, "echo", ["python", "javascript"])
    by_id, by_slug = [(await live.http.get(f"/api/problems/{p}")).json() for p in ("7", "echo")]
    assert by_id == by_slug
    assert by_id["description"] == "Say it again."
    assert by_id["sources"] == {"python": "solution.py", "javascript": "solution.js"}
    template = (await live.http.get("/api/problems/echo/template/python")).json()
    assert list(template["files"]) == ["solution.py"]
    for path in ("nope", "8", "echo/template/cobol"):
        response = await live.http.get(f"/api/problems/{path}")
        assert response.status_code == 404
        sentence(response)


async def test_languages_of_the_problems(live: Any) -> None:
    """Each with its endings, and what is installed where this process judges; asking again starts nothing."""
    for _ in range(2):
        rows = (await live.http.get("/api/languages")).json()["languages"]
        assert [row["name"] for row in rows] == ["python", "javascript"]
        assert [row["endings"] for row in rows] == [[".py"], [".js"]]
        assert all(row["problems"] == 1 for row in rows)
        assert all(row["available"] is not None or row["version"] is None for row in rows)


async def test_submission_from_post_to_verdict(live: Any) -> None:
    """201 with both names of the id and the page's URL; later a complete snapshot."""
    response = await post(live, problem=None, problem_id=7)
    made = response.json()
    assert response.status_code == 201
    assert made["submission_id"] == made["id"]
    assert (made["status"], made["final_status"], made["attempt"]) == ("pending", None, 1)
    page = await live.http.get(made["url"])
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert (await live.http.get("/static/submission.js")).status_code == 200
    snapshot = await live.ended(made["id"])
    assert snapshot["status"] == "completed"
    assert snapshot["final_status"] == "passed"
    assert snapshot["summary"] == {"total_tests": 2, "passed": 2, "failed": 0, "duration_ms": 10.0}
    assert snapshot["finished_at"] >= snapshot["created_at"]
    assert snapshot["last_seq"] == 7
    assert live.judge.jobs[0].files == {"solution.py": "print()"}


async def test_file_names_reach_the_judge(live: Any) -> None:
    """Several files keep their names; a single source without a name gets the language's default name."""
    files = {"src/a.js": "1", "b.js": "2"}
    await live.ended((await post(live, language="javascript", source_code=None, files=files)).json()["id"])
    assert live.judge.jobs[0].files == files
    assert live.judge.jobs[0].language == "javascript"


@pytest.mark.parametrize(
    ("name", "judged"), [("mine.py", "mine.py"), ("mine.txt", "solution.py"), ("a/b.py", "b.py"), (None, "solution.py")]
)
async def test_single_source_keeps_its_name(live: Any, name: str | None, judged: str) -> None:
    """Messages name the file that was submitted, where the language can run it under that name."""
    more = {"file_name": name} if name else {}
    await live.ended((await post(live, **more)).json()["id"])
    assert live.judge.jobs[0].files == {judged: "print()"}


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"problem": "nope"}, 404, "echo"),
    ({"problem": None, "problem_id": 8}, 404, "echo"),
    ({"problem_id": 7}, 422, "either"),
    ({"problem": None}, 422, "either"),
    ({"language": "cobol"}, 422, "javascript, python"),
    ({"language": None}, 422, "language"),
    ({"language": 5}, 422, "language"),
    ({"source_code": None}, 422, "either"),
    ({"files": {"a.py": "1"}}, 422, "either"),
    ({"source_code": ""}, 422, "empty"),
    ({"source_code": " \n\t"}, 422, "empty"),
    ({"source_code": "a\0b"}, 422, "binary"),
    ({"source_code": "x" * (256 * 1024 + 1)}, 413, "256 KiB"),
    ({"source_code": "é" * (128 * 1024 + 1)}, 413, "256 KiB"),
    ({"source_code": None, "files": {}}, 422, "no file"),
    ({"source_code": None, "files": {"a": "x" * 200_000, "b": "x" * 200_000}}, 413, "256 KiB"),
    ({"source_code": None, "files": {f"{n}.py": "x" for n in range(201)}}, 422, "200 files"),
    ({"source_code": None, "files": {"a": "x", "a/b": "x"}}, 422, "directory"),
    ({"source_code": None, "files": ["a.py"]}, 422, "files"),
    ({"source_code": None, "files": {"a.py": 5}}, 422, "files"),
]


@pytest.mark.thorough
async def test_invalid_input_is_refused(live: Any, subtests: pytest.Subtests) -> None:
    """Invalid input gets its status and one sentence that says what is wrong, and creates nothing."""
    for changes, status, words in REFUSALS:
        with subtests.test(words, keys=list(changes)):
            response = await post(live, **changes)
            assert response.status_code == status
            assert words in sentence(response)
    assert (await live.http.get("/api/submissions")).json() == {"submissions": []}


PATHS = ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a\\b", "a\nb", ".", "a/.", "C:x", "a" * 101, "x/" * 150]


async def test_unsafe_paths_are_refused(live: Any, subtests: pytest.Subtests) -> None:
    """A file's path is relative, plain and without `..`."""
    for path in PATHS:
        with subtests.test(path[:20]):
            response = await post(live, source_code=None, files={path: "x"})
            assert response.status_code == 422
            assert "path" in sentence(response)
    for path, words in (
        ("a\nb", "control characters"),
        ("a" * 101, "100 characters"),
        ("C:x", "colon"),
        ("../x", ".."),
    ):
        with subtests.test(words):
            response = await post(live, source_code=None, files={path: "x"})
            assert words in sentence(response)


BODIES = [b"{", b"", b"[]", b"null", b'{"language": "\\ud800"}', b"\xff", b"[" * 50_000]


async def test_invalid_bodies(live: Any, subtests: pytest.Subtests) -> None:
    """A body that is not a valid JSON object is refused with a sentence, never with 500."""
    headers = {"Content-Type": "application/json"}
    for content in BODIES:
        with subtests.test(repr(content[:20])):
            response = await live.http.post("/api/submissions", content=content, headers=headers)
            assert response.status_code in (400, 422)
            sentence(response)


async def test_lone_surrogate_is_refused(live: Any) -> None:
    """Text that cannot be encoded as UTF-8 is refused, not stored."""
    content = b'{"problem": "echo", "language": "python", "source_code": "a\\ud800"}'
    headers = {"Content-Type": "application/json"}
    assert (await live.http.post("/api/submissions", content=content, headers=headers)).status_code == 422


async def test_body_size_is_limited(live: Any) -> None:
    """A body over the limit is 413, whether or not it declares its length."""

    async def chunks() -> Any:
        for _ in range(40):
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    response = await live.http.post("/api/submissions", content=chunks(), headers=headers)
    assert response.status_code == 413
    assert response.json()["detail"].endswith(".")
    response = await live.http.post("/api/submissions", content=b" " * 3_000_000, headers=headers)
    assert (response.status_code, response.headers["x-frame-options"]) == (413, "DENY")
    assert response.json() == {"detail": "The request body must not exceed 2097152 bytes."}


async def test_idempotency_key(live: Any) -> None:
    """A repeated POST returns the same submission, even ten at once; different content is refused."""
    headers = {"Idempotency-Key": "k-1"}
    responses = await asyncio.gather(
        *(live.http.post("/api/submissions", json=BODY, headers=headers) for _ in range(10))
    )
    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["id"] for response in responses}) == 1
    other = await live.http.post("/api/submissions", json={**BODY, "source_code": "2"}, headers=headers)
    assert other.status_code == 422
    assert "Idempotency-Key" in sentence(other)
    assert len((await live.http.get("/api/submissions")).json()["submissions"]) == 1
    await live.ended(responses[0].json()["id"])
    assert len(live.judge.jobs) == 1


async def test_listing_submissions(live: Any) -> None:
    """Newest first, with `limit` and `problem`."""
    ids = [await live.submit() for _ in range(4)]
    for query, expected in (("", ids[::-1]), ("?limit=2", ids[:1:-1]), ("?problem=7&limit=1", ids[3:])):
        listed = (await live.http.get(f"/api/submissions{query}")).json()["submissions"]
        assert [row["submission_id"] for row in listed] == expected
    assert (await live.http.get("/api/submissions?problem=nope")).status_code == 404
    assert (await live.http.get("/api/submissions?limit=0")).status_code == 422


async def test_tests_include_their_analyses(live: Any) -> None:
    """The latest result of each test counts, and includes the analysis of a failure."""
    submission_id = await live.submit("wait")
    for event in (
        {"type": "test_result", "test_id": "a", "test_name": "One", "status": "failed", "output": "boom"},
        {"type": "error_analysis", "test_id": "a", "error": "boom", "analysis": "It broke."},
        {"type": "test_result", "test_id": "b", "test_name": "Two", "status": "passed"},
        {"type": "test_result", "test_id": "b", "test_name": "Two", "status": "failed"},
        {"type": "complete", "final_status": "failed", "summary": {"groups": [{"name": "g"}]}},
    ):
        await live.judge.events.put(event)
    await live.ended(submission_id)
    body = (await live.http.get(f"/api/submissions/{submission_id}/tests")).json()
    assert set(body["tests"][1]) == {"type", "submission_id", "seq", "timestamp", "test_id", "test_name", "status"}
    assert (await live.http.get(f"/api/submissions/{submission_id}")).json()["summary"] == {"groups": [{"name": "g"}]}
    assert [(row["test_name"], row["status"]) for row in body["tests"]] == [("One", "failed"), ("Two", "failed")]
    assert body["tests"][0]["output"] == "boom"
    assert body["tests"][0]["error_analysis"]["analysis"] == "It broke."


@pytest.mark.thorough
async def test_events_in_pages(live: Any) -> None:
    """The log can be read a page at a time, after any position."""
    submission_id = await live.submit()
    await live.ended(submission_id)
    seen: list[int] = []
    more = True
    while more:
        after = seen[-1] if seen else 0
        path = f"/api/submissions/{submission_id}/events?after_seq={after}&limit=3"
        page = (await live.http.get(path)).json()
        seen += [event["seq"] for event in page["events"]]
        more = page["more"]
        assert page["last_seq"] == seen[-1]
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    beyond = (await live.http.get(f"/api/submissions/{submission_id}/events?after_seq=99")).json()
    assert (beyond["events"], beyond["last_seq"], beyond["epoch"]) == ([], 7, page["epoch"])
    assert (await live.http.get(f"/api/submissions/{submission_id}/events?after_seq=-1")).status_code == 422


@pytest.mark.thorough
async def test_unknown_submission(live: Any, subtests: pytest.Subtests) -> None:
    """404 with a sentence, on every path."""
    for tail in ("", "/tests", "/events", "/cancel"):
        for name in ("999", "0", "-5", "9" * 30, "-" + "9" * 30):
            with subtests.test(name, tail=tail):
                method = live.http.post if tail == "/cancel" else live.http.get
                response = await method(f"/api/submissions/{name}{tail}")
                assert response.status_code == 404
                assert "no submission" in sentence(response)


async def test_id_must_be_a_number(live: Any) -> None:
    """422, and the sentence names the field."""
    response = await live.http.get("/api/submissions/abc")
    assert response.status_code == 422
    assert "submission_id" in sentence(response)


async def test_cancelling(live: Any) -> None:
    """The judge stops, the verdict is `cancelled`, the watcher sees it, and cancelling again is 409."""
    submission_id = await live.submit("wait")
    await live.judge.events.put({"type": "test_result", "test_name": "One", "status": "passed"})
    watcher = await live.watch(submission_id)
    while '"One"' not in await watcher.recv():
        pass
    assert live.judge.running == 1
    response = await live.http.post(f"/api/submissions/{submission_id}/cancel")
    assert response.status_code == 200
    assert response.json()["final_status"] == response.json()["status"] == "cancelled"
    assert response.json()["summary"]["passed"] == 1
    texts = [text async for text in watcher]
    assert '"final_status":"cancelled"' in texts[-1]
    await live.until(lambda: live.judge.running == 0)
    again = await live.http.post(f"/api/submissions/{submission_id}/cancel")
    assert again.status_code == 409
    assert "verdict" in sentence(again)
    # The worker goes on with the next.
    assert (await live.ended(await live.submit()))["final_status"] == "passed"


async def test_cancelling_a_queued_submission(live: Any) -> None:
    """A submission that no worker has claimed is cancelled without being judged."""
    running, waiting = await live.submit("wait"), await live.submit()
    await live.http.post(f"/api/submissions/{waiting}/cancel")
    await live.http.post(f"/api/submissions/{running}/cancel")
    last = await live.submit()
    await live.ended(last)
    assert len(live.judge.jobs) == 2


@pytest.mark.parametrize(
    ("headers", "status"), [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)]
)
async def test_other_web_pages_are_refused(live: Any, headers: dict[str, str], status: int) -> None:
    """A page of another origin, or one that uses DNS rebinding, cannot submit."""
    response = await live.http.post("/api/submissions", json=BODY, headers=headers)
    assert response.status_code == status
    sentence(response)
    assert (await live.http.get("/api/info", headers={"Host": "localhost:1"})).status_code == 200


async def test_form_cannot_submit(live: Any) -> None:
    """A cross-site POST that needs no preflight (text/plain) is not read as JSON."""
    response = await live.http.post(
        "/api/submissions",
        content=httpx.Request("POST", "http://x", json=BODY).content,
        headers={"Content-Type": "text/plain"},
    )
    assert response.status_code == 422


async def test_database_error_is_503(live: Any, sql: Callable[[str], Any]) -> None:
    """503 with `Retry-After` if the database fails."""
    sql("ALTER TABLE submissions RENAME TO elsewhere")
    response = await live.http.get("/api/submissions")
    assert response.status_code == 503
    assert "Retry-After" in response.headers
    sentence(response)


async def test_openapi_document(live: Any) -> None:
    """`/docs` shows a document with every route and the schema of its responses."""
    assert (await live.http.get("/docs")).status_code == 200
    document = (await live.http.get("/openapi.json")).json()
    assert "/api/submissions/{submission_id}/events" in document["paths"]
    for path, calls in document["paths"].items():
        for call in calls.values():
            good = next(answer for status, answer in call["responses"].items() if status.startswith("2"))
            assert good["content"]["application/json"]["schema"], path


FAILED = {"type": "complete", "final_status": "failed", "summary": {"total_tests": 2}}
PASSED = {"type": "complete", "final_status": "passed", "summary": {"total_tests": 2}}


async def judged(live: Any, *events: dict[str, Any]) -> dict[str, Any]:
    """The snapshot of a submission that is judged with these events."""
    made = await live.submit("wait")
    for event in events:
        live.judge.events.put_nowait(event)
    return dict(await live.ended(made))


def ending_as(name: str, status: str = "passed", ms: int = 5) -> dict[str, Any]:
    return {"type": "test_result", "test_name": name, "status": status, "duration_ms": ms}


@pytest.mark.thorough
async def test_verdict_is_compared_with_the_previous_one(live: Any) -> None:
    """The snapshot says what has changed since the owner's previous submission that was judged to its end.

    So does `complete`; lists and submissions without a previous one do not.
    """
    first = await judged(live, ending_as("a", "failed"), ending_as("b", ms=100), FAILED)
    assert "compared_to" not in first
    stopped = await judged(live, {"type": "complete", "final_status": "build_failed", "summary": {}})
    assert "compared_to" not in stopped
    second = await judged(live, ending_as("a"), ending_as("b", ms=1000), PASSED)
    expected = {
        "previous": first["id"],
        "newly_passing": 1,
        "newly_failing": 0,
        "slower": 1,
        "tests": [
            {"test_name": "b", "change": "slower", "before_ms": 100.0, "duration_ms": 1000.0},
            {"test_name": "a", "change": "newly_passing"},
        ],
    }
    assert second["compared_to"] == expected
    events = (await live.http.get(f"/api/submissions/{second['id']}/events")).json()["events"]
    assert [event["compared_to"] for event in events if event["type"] == "complete"] == [expected]
    listed = (await live.http.get("/api/submissions")).json()["submissions"]
    assert not any("compared_to" in each for each in listed)
    third = await judged(live, ending_as("a", "error"), ending_as("b", ms=1000), FAILED)
    assert third["compared_to"]["previous"] == second["id"]
    assert third["compared_to"]["newly_failing"] == 1


@pytest.mark.thorough
async def test_verdicts_of_others_are_not_compared(guarded: Any) -> None:
    """A comparison would tell one user of another's results."""
    live = guarded
    await live.be("ada")
    await judged(live, ending_as("a", "failed"), FAILED)
    await live.be("eve")
    assert "compared_to" not in await judged(live, ending_as("a"), PASSED)
    await live.be("ada")
    assert (await judged(live, ending_as("a"), PASSED))["compared_to"]["newly_passing"] == 1


async def test_only_the_verdict_was_kept(live: Any, engine: Engine) -> None:
    """Everything that shows such a submission says so in one sentence, and its code is refused with it."""
    number = await live.submit()
    ended = await live.ended(number)
    pruning = Pruning(engine, lambda: time.time() + 3600)
    assert sum(pruning.prune(60, keep_verdicts=True)) == 1
    shown = (await live.http.get(f"/api/submissions/{number}")).json()
    assert shown["notice"].endswith("the verdict remains.")
    assert (shown["final_status"], shown["summary"]) == (ended["final_status"], ended["summary"])
    [listed] = (await live.http.get("/api/submissions")).json()["submissions"]
    assert listed["notice"] == shown["notice"]
    assert (await live.http.get(f"/api/submissions/{number}/tests")).json()["tests"] == []
    refused = await live.http.get(f"/api/submissions/{number}/files")
    assert (refused.status_code, refused.json()["detail"]) == (409, shown["notice"])
    watched = await messages(await live.watch(number))
    assert [each["type"] for each in watched] == ["status_update", "complete"]
    assert watched[0]["detail"] == shown["notice"]
