"""Health checks and metrics."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from subcli.server import Ready, ServeError, ServerSettings
from subcli.server.log.records import record
from subcli.server.observe.metrics import Metrics
from subcli.server.run.serve import run
from tests.server.gateway.test_gateway import closed, messages, next_event


def samples(text: str) -> dict[str, float]:
    """Every sample of the text format, by name and labels as they are written."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def scraped(live: Any) -> dict[str, float]:
    response = await live.http.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(response.text)


async def test_healthy_server(live: Any) -> None:
    """Alive and ready: the database answers, and no Redis is configured."""
    response = await live.http.get("/healthz")
    assert (response.status_code, response.text) == (200, "alive\n")
    response = await live.http.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "stopping": False,
        "database": "up",
        "redis": "none",
        "judging": "in service",
        "problems": "1 in service",
        "disk": "enough",
    }


@pytest.mark.thorough
async def test_nobody_judges(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that leaves judging to workers says when none is there, or none is well; so does `/info`."""
    monkeypatch.setattr("subcli.server.jobs.judges._FRESH_S", 0.0)
    async with start(concurrency=0) as live:
        presence = live.services.store.presence

        async def told() -> tuple[str, bool]:
            ready = (await live.http.get("/readyz")).json()
            assert ready["ready"]
            return ready["judging"], (await live.http.get("/api/info")).json()["judging"]

        assert await told() == ("by nobody: no worker was seen for 35 s; 0 submissions wait", False)
        await live.submit()
        assert await told() == ("by nobody: no worker was seen for 35 s; 1 submission waits", False)
        presence.tell("one", 2)
        assert await told() == ("elsewhere", True)
        presence.tell("one", 0)
        assert await told() == ("by nobody: the only worker is out of service; 1 submission waits", False)
        presence.tell("two", 0)
        assert await told() == ("by nobody: all 2 workers are out of service; 1 submission waits", False)
        presence.tell("two", 1)
        assert await told() == ("elsewhere", True)
        presence.end("two")
        assert (await told())[1] is False
        # What it cannot find out, it does not claim.
        monkeypatch.setattr(live.services.store.presence, "present", failing)
        assert await told() == ("unknown", True)


def failing(_within_s: float) -> None:
    raise OperationalError("SELECT", {}, sqlite3.OperationalError("gone"))


async def test_a_worker_out_of_service(start: Callable[..., Any]) -> None:
    """`/readyz` and a metric tell it; the server stays ready, because it still accepts and shows submissions."""
    async with start(self_test_s=3600) as live:
        assert (await scraped(live))["subcli_workers_in_service"] == 1
        for _ in range(2):
            live.services.service.failed("echo", "The judge failed: OSError.")
        response = await live.http.get("/readyz")
        assert (response.status_code, response.json()["ready"]) == (200, True)
        assert response.json()["judging"].startswith("out of service: the judge failed 2 times in a row")
        assert (await scraped(live))["subcli_workers_in_service"] == 0


async def test_not_ready_if_the_database_fails(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/readyz` is 503, `/healthz` still 200."""

    def fail() -> None:
        raise sqlite3.OperationalError("gone")

    monkeypatch.setattr(live.services.store, "try_to_write", fail)
    response = await live.http.get("/readyz")
    assert (response.status_code, response.json()["ready"], response.json()["database"]) == (503, False, "down")
    assert (await live.http.get("/healthz")).status_code == 200


async def test_readiness_is_looked_up_once_a_second(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, one after the other or together; whether the server is stopping is told at once."""
    monkeypatch.setattr("subcli.server.api.health._FRESH_S", 3600.0)
    looks: list[None] = []
    monkeypatch.setattr(live.services.store, "try_to_write", lambda: looks.append(None))
    await asyncio.gather(*(live.http.get("/readyz") for _ in range(20)))
    assert len(looks) == 1
    live.services.lifecycle.stop()
    response = await live.http.get("/readyz")
    assert (response.status_code, response.json()["stopping"], len(looks)) == (503, True, 1)
    monkeypatch.setattr("subcli.server.api.health._FRESH_S", 0.0)
    await live.http.get("/readyz")
    assert len(looks) == 2


async def test_not_ready_if_the_database_does_not_answer(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 while the database still hangs."""
    monkeypatch.setattr("subcli.server.api.health._CHECK_TIMEOUT_S", 0.1)
    hanging = threading.Event()
    begun: list[bool] = []
    monkeypatch.setattr(live.services.store, "try_to_write", lambda: begun.append(hanging.wait(60)))
    monkeypatch.setattr("subcli.server.api.health._FRESH_S", 0.0)
    responses = [await live.http.get("/readyz") for _ in range(6)]
    # However many ask, only one of the store's threads waits.
    assert begun == []
    hanging.set()
    assert {(each.status_code, each.json()["database"]) for each in responses} == {(503, "down")}
    await live.until(lambda: begun == [True])
    assert (await live.http.get("/readyz")).status_code == 200


@pytest.mark.every_backend
async def test_not_ready_if_the_database_is_read_only(live: Any, engine: Engine) -> None:
    """It answers every question, but no submission could be kept."""
    statements = {"sqlite": "PRAGMA query_only = ON", "postgresql": "SET default_transaction_read_only = on"}

    def refuse_writes(connection: Any, *_: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(statements[engine.dialect.name])
        connection.commit()

    pool = live.services.store._write.pool
    event.listen(pool, "checkout", refuse_writes)
    response = await live.http.get("/readyz")
    assert (response.status_code, response.json()["database"]) == (503, "down")
    assert (await live.http.get("/api/submissions")).status_code == 200
    event.remove(pool, "checkout", refuse_writes)


@pytest.mark.thorough
async def test_which_worker_judged_is_for_operators(start: Callable[..., Any]) -> None:
    """Each attempt with its worker, for this machine only; nothing that learners read names one."""
    async with start(retry_s=0.01) as live:
        submission_id = await live.submit("wait")
        await live.judge.events.put(None)
        await live.judge.events.put({"type": "complete", "final_status": "passed", "summary": {}})
        await live.ended(submission_id)
        answer = (await live.http.get(f"/attempts/{submission_id}")).json()
        assert answer["submission_id"] == submission_id
        assert [each["attempt"] for each in answer["attempts"]] == [1, 2]
        [worker] = {each["worker"] for each in answer["attempts"]}
        assert worker.startswith(f"{socket.gethostname()}:")
        assert answer["attempts"][0]["started_at"] < answer["attempts"][1]["started_at"]
        proxied = await live.http.get(f"/attempts/{submission_id}", headers={"X-Forwarded-For": "192.0.2.7"})
        assert proxied.status_code == 404
        for path in ("", "/tests", "/events"):
            assert worker not in (await live.http.get(f"/api/submissions/{submission_id}{path}")).text
        assert (await live.http.get("/attempts/99")).json()["attempts"] == []
        assert (await live.http.get("/attempts/-1")).status_code == 422


async def test_stays_ready_without_redis(start: Callable[..., Any]) -> None:
    """The body says that Redis is down, but the server works without it, so the status stays 200."""
    async with start(redis="redis://127.0.0.1:1/0") as live:
        response = await live.http.get("/readyz")
        assert response.status_code == 200
        assert (response.json()["ready"], response.json()["redis"]) == (True, "down")
        assert (await scraped(live))["subcli_redis_up"] == 0


async def test_not_ready_during_shutdown(start: Callable[..., Any]) -> None:
    """During shutdown `/readyz` is 503 on connections that are still open."""
    async with start(closing_per_s=1.0) as live:
        submission_id = await live.submit("wait")
        for _ in range(2):
            await next_event(await live.watch(submission_id))
        live.server.should_exit = True
        await live.until(lambda: live.services.lifecycle.is_stopping)
        response = await live.http.get("/readyz")
        assert response.status_code == 503
        assert (response.json()["ready"], response.json()["stopping"]) == (False, True)


async def test_metrics_count_what_happens(live: Any) -> None:
    """Sockets, events, lag, refusals, requests and the queue have the right values."""
    before = await scraped(live)
    submission_id = await live.submit("wait")
    waiting = await live.submit("wait")
    watchers = [await live.watch(submission_id) for _ in range(10)]
    for watcher in watchers:
        await next_event(watcher)
    assert (await closed(await live.watch(submission_id)))[0] == 4029
    assert (await closed(await live.watch(9999)))[0] == 4004
    await live.judge.events.put({"type": "test_result", "test_name": "One", "status": "passed"})
    for watcher in watchers:
        while (await next_event(watcher))["type"] != "test_result":
            pass
    now = await scraped(live)
    assert now["subcli_connections"] == 10
    assert now["subcli_sockets_opened_total"] == 12
    assert now["subcli_events_sent_total"] >= 20
    assert now["subcli_delivery_lag_seconds_count"] >= 10
    assert 0 <= now["subcli_delivery_lag_seconds_sum"] < 10 * now["subcli_delivery_lag_seconds_count"]
    assert now["subcli_delivery_lag_seconds_bucket{le=+Inf}"] == now["subcli_delivery_lag_seconds_count"]
    assert now["subcli_refusals_total{code=4029}"] == now["subcli_refusals_total{code=4004}"] == 1
    assert now["subcli_http_requests_total{method=POST,status=201}"] == 2
    assert now["subcli_queue_length"] == 1, waiting
    assert before["subcli_connections"] == before["subcli_events_sent_total"] == 0
    for watcher in watchers:
        await watcher.close()
    await live.http.request("BREW", "/api/info")
    await live.until(lambda: live.services.metrics.connections == 0)
    assert (await scraped(live))["subcli_connections"] == 0
    assert (await scraped(live))["subcli_http_requests_total{method=other,status=405}"] == 1


@pytest.mark.thorough
async def test_replayed_events_have_no_lag(live: Any) -> None:
    """Only live delivery counts, however late a client connects."""
    submission_id = await live.submit()
    await live.ended(submission_id)
    await messages(await live.watch(submission_id))
    now = await scraped(live)
    assert now["subcli_events_sent_total"] >= 6
    assert now["subcli_delivery_lag_seconds_count"] == 0


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via"]
)
async def test_metrics_are_hidden_behind_proxies(live: Any, name: str) -> None:
    """Requests through a proxy get 404, even from a proxy on this machine with a loopback `Host`."""
    assert (await live.http.get("/metrics", headers={name: "127.0.0.1"})).status_code == 404
    assert (await live.http.get("/metrics")).status_code == 200


@pytest.mark.parametrize("host", ["judge.example", "judge.example:443", "127.0.0.1.judge.example", ""])
async def test_metrics_require_a_loopback_host(guarded: Any, host: str) -> None:
    """A proxy without forwarding headers passes on its visitors' `Host`, and so does DNS rebinding."""
    assert (await guarded.http.get("/metrics", headers={"Host": host})).status_code == 404
    assert (await guarded.http.get("/metrics", headers={"Host": "localhost:8001"})).status_code == 200


async def test_failing_gauge_is_left_out(live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the database is down, only its own metrics are missing."""

    def gone() -> float:
        raise sqlite3.OperationalError("gone")

    live.services.metrics.add_gauge("subcli_queue_length", "Waiting.", gone)
    now = await scraped(live)
    assert "subcli_queue_length" not in now
    assert "subcli_connections" in now


def test_lag_histogram() -> None:
    """Buckets are cumulative, and the last one contains everything."""
    metrics = Metrics()
    now = time.time()
    for lag in (0.0, 0.02, 0.02, 60.0):
        metrics.sent([record(1, "{}", last=False), record(2, "{}", last=False)])
        metrics.sent([record_at(now - lag)])
    found = samples(metrics.text().decode())
    assert found["subcli_events_sent_total"] == 12
    assert found["subcli_delivery_lag_seconds_count"] == 4
    assert found["subcli_delivery_lag_seconds_bucket{le=10.0}"] == 3
    assert found["subcli_delivery_lag_seconds_sum"] == pytest.approx(60.04, abs=5)


def record_at(committed: float) -> Any:
    from dataclasses import replace

    return replace(record(3, "{}", last=False), committed=committed)


def test_metrics_at_their_own_address() -> None:
    """Anybody can read the metrics there, until the address is closed."""
    metrics = Metrics()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stop = metrics.serve("127.0.0.1", port)
    try:
        response = httpx.get(f"http://127.0.0.1:{port}/metrics", headers={"Via": "1.1 proxy"}, trust_env=False)
        assert samples(response.text)["subcli_connections"] == 0
    finally:
        stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)


def test_metrics_address_in_use(tmp_path: Path) -> None:
    """One sentence that names the address, and what to change."""

    def never(_ready: Ready) -> None:
        raise AssertionError("it started")

    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = ("127.0.0.1", other.getsockname()[1])
        with pytest.raises(ServeError) as error, suppress(KeyboardInterrupt):
            run(ServerSettings(tmp_path / "data", port=0, metrics_address=taken), on_ready=never)
    assert str(taken[1]) in error.value.message
    assert "--metrics-address" in error.value.hint
