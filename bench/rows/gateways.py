"""One gateway, then two, with Redis between them: does the second one help?"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bench import peers
from bench.measure import Contender, Failed, in_turns
from bench.processes import Serving, cpu_s, environment, free_port, python_module, serving
from bench.table import Table, Target, at_least, lines_of
from tests.backends import Postgres, RedisServer

SUBMISSIONS, WATCHERS, EVENTS = 100, 1000, 150
ROUNDS = 3
BUDGET_S = 22.0
LIMIT_S = 30.0
LEAST = 1.6
CORES = 6
"""Two gateways, two processes of watchers, Redis, and the one that tells: with fewer they take each other's."""
B = TypeVar("B", Postgres, RedisServer)
ONE, TWO = "one gateway", "two gateways"


@dataclass(frozen=True)
class Cluster:
    """What the rounds share."""

    database: str
    redis: str
    gateways: Sequence[Serving]


def measure() -> Table:
    """The same two gateways in every round; the watchers connect to one or to both, in turns."""
    cores = len(os.sched_getaffinity(0))
    notes: dict[str, str] = {}
    with _cluster() as cluster:
        first, second = cluster.gateways
        outcomes = in_turns(
            {
                ONE: _frames_a_second(cluster, (first, first), ONE, notes),
                TWO: _frames_a_second(cluster, (first, second), TWO, notes),
            },
            rounds=ROUNDS,
            budget_s=BUDGET_S,
        )
    target = at_least("two gateways over one", outcomes[TWO], outcomes[ONE], LEAST)
    if cores < CORES and target.reached is not None:
        target = Target(target.what, f"{target.measured} on {cores} cores", target.wanted, None)
    return Table(
        title="One gateway, then two",
        unit="frames/s",
        how=(
            f"`subcli serve --no-worker` with PostgreSQL and Redis; {WATCHERS:,} watchers on {SUBMISSIONS} "
            f"submissions, in two processes that connect to one gateway or to one each, so that each gateway has half "
            f"of the watchers of each submission; {EVENTS} events of each submission, committed in advance and "
            "published on Redis at full speed, from the first frame to the last. The target is assessed only if each "
            "process has its own core: two gateways, two processes of watchers, Redis and the publisher need "
            f"{CORES}; this machine has {cores}."
        ),
        lines=lines_of(outcomes, notes),
        targets=(target,),
        base=ONE,
        digits=0,
        remarks=(
            "A second gateway cannot halve the fixed cost of each event: each gateway receives it from Redis and "
            "encodes it once, however many watchers it has. If a frame costs the same processor time with two "
            "gateways, nothing else limits the scaling. With fewer cores the gateways, the watchers and Redis "
            "compete, and the rate shows how they share the cores."
        ),
    )


def _frames_a_second(cluster: Cluster, gateways: Sequence[Serving], name: str, notes: dict[str, str]) -> Contender:
    """New submissions for each round; half of the watchers of each connect to each of ``gateways``."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            go, began = Path(folder) / "go", Path(folder) / "began"
            teller = [str(peers.subcli() / "python"), "-m", "bench.servers.teller", "--go", str(go)]
            teller += ["--began", str(began), "--database", cluster.database, "--redis", cluster.redis]
            teller += ["--submissions", str(SUBMISSIONS), "--events", str(EVENTS)]
            with serving(teller) as telling, contextlib.ExitStack() as stack:
                ready = [Path(folder) / f"ready-{number}" for number in range(len(gateways))]
                crowds = [
                    stack.enter_context(_watching(gateway, int(str(telling.told["first"])), path))
                    for gateway, path in zip(gateways, ready, strict=True)
                ]
                _wait_for(ready, crowds)
                pids = {gateway.pid for gateway in gateways}
                before = sum(map(cpu_s, pids))
                go.touch()
                told = [_told(crowd) for crowd in crowds]
                used = sum(map(cpu_s, pids)) - before
                at = float(began.read_text())
        frames, expected = (sum(each[which] for each in told) for which in ("frames", "expected"))
        # Should a gateway have looked into the log before it was told, that counts as well.
        seconds = max(each["last"] for each in told) - min(at, *(each["first"] for each in told))
        if frames < expected:
            raise Failed(f"{expected - frames:,} of {expected:,} frames lost")
        notes[name] = (
            f"a frame costs the gateways {used / frames * 1e6:.1f} µs of processor time, "
            f"its watchers {sum(each['cpu_s'] for each in told) / frames * 1e6:.1f} µs"
        )
        return float(frames / seconds)

    return run


@contextlib.contextmanager
def _watching(gateway: Serving, first: int, ready: Path) -> Iterator[subprocess.Popen[str]]:
    """Start half of the watchers in their own process; they create the file when all are connected."""
    words = ["--port", str(gateway.port), "--first", str(first), "--submissions", str(SUBMISSIONS)]
    words += ["--watchers", str(WATCHERS // 2), "--events", str(EVENTS), "--go", str(ready), "--limit", str(LIMIT_S)]
    with subprocess.Popen(
        python_module("load", *words),
        cwd=peers.CHECKOUT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _wait_for(ready: Sequence[Path], crowds: Sequence[subprocess.Popen[str]]) -> None:
    end = time.monotonic() + LIMIT_S
    while not all(path.exists() for path in ready):
        if time.monotonic() > end or any(crowd.poll() is not None for crowd in crowds):
            raise Failed("the watchers could not connect")
        time.sleep(0.02)


def _told(crowd: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        out, errors = crowd.communicate(timeout=2 * LIMIT_S)
    except subprocess.TimeoutExpired:
        raise Failed(f"the watchers took longer than {2 * LIMIT_S:g} s") from None
    if crowd.returncode:
        raise Failed(f"the watchers failed: {(errors.strip().splitlines() or ['no message'])[-1][:120]}")
    told: dict[str, Any] = json.loads(out)
    return told


@contextlib.contextmanager
def _cluster() -> Iterator[Cluster]:
    """Run PostgreSQL, Redis and two gateways."""
    with contextlib.ExitStack() as stack:
        postgres, redis = _started(stack, Postgres), _started(stack, RedisServer)
        database, bus = postgres.url("postgres"), redis.url()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        gateways = []
        for number in range(2):
            port = free_port()
            command = [str(peers.subcli() / "subcli"), "serve", "--no-worker", "--port", str(port)]
            command += ["--database", database, "--redis", bus, "--data-dir", f"{folder}/{number}"]
            gateways.append(stack.enter_context(serving(command, port=port)))
        yield Cluster(database, bus, gateways)


def _started(stack: contextlib.ExitStack, kind: type[B]) -> B:
    try:
        server = kind()
        stack.callback(server.close)
        server.start()
    except (pytest.skip.Exception, AssertionError, OSError, subprocess.SubprocessError) as error:
        raise Failed(f"{kind.__name__} cannot be started here: {error}") from None
    return server
