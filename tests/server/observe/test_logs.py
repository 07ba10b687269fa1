"""Logging."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from subcli.server.observe import logs
from subcli.shared.secret import Secret
from tests.server.gateway.test_gateway import closed, messages

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def written() -> Iterator[Any]:
    """Configures logging, and returns the stream."""
    root = logging.getLogger()
    before = root.level
    handlers: list[logging.Handler] = []

    def configure(form: Any, level: Any = "info", **more: Any) -> io.StringIO:
        stream = io.StringIO()
        handlers.append(logs.configure(form, level, stream, **more))
        return stream

    yield configure
    root.setLevel(before)
    for handler in handlers:
        root.removeHandler(handler)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines(written: Any) -> None:
    """Time, level, logger, message and context are separate fields."""
    stream = written("json")
    with logs.log_context(request="r1"), logs.log_context(submission=7):
        logging.getLogger("subcli.test").warning("it took %d ms", 5)
    logging.getLogger("subcli.test").info("nothing\nin particular")
    first, second = lines(stream)
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "subcli.test",
        "message": "it took 5 ms",
        "request": "r1",
        "submission": 7,
    }
    assert second["message"] == "nothing\nin particular"
    assert "request" not in second


def test_text_lines(written: Any) -> None:
    """The same in one line; clients cannot start a new line or control the terminal."""
    stream = written("text")
    with logs.log_context(request="r1"):
        logging.getLogger("subcli.test").warning("path %s", "/x\n2026 ERROR forged\x1b[2J\u202e\u3164\U000e0041")
    (line,) = stream.getvalue().splitlines()
    assert " WARNING subcli.test: path /x\\x0a2026 ERROR forged\\x1b[2J\\u202e\\u3164\\U000e0041 request=r1" in line


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_redacted(written: Any, form: str) -> None:
    """In messages, arguments and tracebacks, whichever logger is used."""
    stream = written(form, secrets=[Secret("hunter22-and-more")])
    log = logging.getLogger("some.library")
    log.warning("GET /ws/submissions/1?token=%s", TOKEN)
    log.warning("known: hunter22-and-more")
    try:
        raise RuntimeError(f"Authorization: Bearer {TOKEN} at postgresql://me:hush@db/x")
    except RuntimeError:
        log.exception("failed")
    text = stream.getvalue()
    assert "RuntimeError" in text
    assert not [secret for secret in (TOKEN, TOKEN.split(".")[1], "hunter22", "hush") if secret in text]


def test_level_filters_records(written: Any) -> None:
    """At the level `warning`, requests are not logged."""
    stream = written("json", "warning")
    logging.getLogger("subcli.access").info("request")
    assert stream.getvalue() == ""


@pytest.mark.thorough
async def test_access_log(written: Any, guarded: Any) -> None:
    """Each entry has id, path without query, outcome and duration, and no token."""
    stream = written("json")
    headers = {"X-Request-ID": "from-the-proxy"}
    response = await guarded.http.get(f"/api/submissions?limit=1&token={TOKEN}", headers=headers)
    assert response.headers["x-request-id"] == "from-the-proxy"
    assert (await guarded.http.get(f"/ws/submissions/1&token={TOKEN}")).status_code == 426
    for path in (f"/{TOKEN}", "/api/auth/token&password=hunter22"):
        assert (await guarded.http.get(path)).status_code == 404
    assert (await guarded.http.get("/" + "a" * 50_000)).status_code == 404
    odd = await guarded.http.get("/api/info", headers={"X-Request-ID": "no id, but a story"})
    assert len(odd.headers["x-request-id"]) == 16
    submission_id = await guarded.submit()
    token = (await guarded.http.post(f"/api/submissions/{submission_id}/watch-token")).json()["token"]
    await messages(await guarded.watch(submission_id, f"?token={token}"))
    assert (await closed(await guarded.watch(submission_id, f"?token={token}")))[0] == 4003
    assert (await guarded.http.get("/healthz")).status_code == 200
    await guarded.until(lambda: sum(line["message"] == "socket closed" for line in lines(stream)) == 2)
    found = lines(stream)
    listed = next(line for line in found if line.get("request") == "from-the-proxy")
    assert (listed["logger"], listed["method"], listed["path"]) == ("subcli.access", "GET", "/api/submissions")
    assert (listed["status"], listed["client"]) == (200, "127.0.0.1")
    assert 0 <= listed["seconds"] < 10
    sockets = [line for line in found if line["message"] == "socket closed"]
    assert [line["code"] for line in sockets] == [1000, 4003]
    assert {line["path"] for line in sockets} == {f"/ws/submissions/{submission_id}"}
    assert not [line for line in found if line.get("path") == "/healthz"]
    assert max(len(line.get("path", "")) for line in found) == 512
    assert not [secret for secret in (token, TOKEN, "hunter22") if secret in stream.getvalue()]


async def test_traceback_names_the_request(written: Any, live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id in the response identifies the traceback in the log."""
    stream = written("json", "error")

    def broken(*_args: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(live.services.store.listing, "page", broken)
    response = await live.http.get("/api/submissions")
    assert response.status_code == 500
    (fault,) = lines(stream)
    assert fault["level"] == "error"
    assert fault["request"] == response.headers["x-request-id"]
    assert "RuntimeError: a fault" in fault["traceback"]
