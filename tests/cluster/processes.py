"""A cluster of real processes that can be killed one by one: PostgreSQL, Redis, two gateways, two workers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from subcli.server.log.database import open_database
from tests.backends import Postgres, RedisServer
from tests.unmeasured import UNMEASURED

NODE = Path(__file__).with_name("node.py")


class Node:
    """One process of `node.py`, which can be restarted with the same arguments."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self.log.open("a") as errors:
            process = subprocess.Popen(
                [sys.executable, str(NODE), *self._arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **UNMEASURED},
            )
        self._process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "ready\n", self.log.read_text()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Cluster:
    """All processes. `gateways` are by URL."""

    def __init__(self, directory: Path, postgres: Postgres, redis: RedisServer, name: str) -> None:
        self.postgres = postgres
        self.redis = redis
        self.database = postgres.url(name)
        bus = redis.fresh()
        ports = [_free_port() for _ in range(2)]
        self.gateways = {
            f"http://127.0.0.1:{port}": Node(
                directory / f"gateway-{port}.log", "gateway", str(directory / f"{port}"), str(port), self.database, bus
            )
            for port in ports
        }
        self.workers = [Node(directory / f"worker-{n}.log", "worker", self.database, bus) for n in range(2)]

    @property
    def nodes(self) -> list[Node]:
        return [*self.gateways.values(), *self.workers]

    def logs(self) -> str:
        """The processes' standard error."""
        return "".join(f"--- {node.log.name}\n{node.log.read_text()}" for node in self.nodes if node.log.exists())


@contextmanager
def running(directory: Path, postgres: Postgres, redis: RedisServer, name: str) -> Iterator[Cluster]:
    """Run a cluster on a new database of this name."""
    postgres.execute(f"CREATE DATABASE {name}")
    open_database(postgres.url(name)).dispose()
    cluster = Cluster(directory, postgres, redis, name)
    try:
        starting = [threading.Thread(target=node.start) for node in cluster.nodes]
        for each in starting:
            each.start()
        for each in starting:
            each.join()
        yield cluster
    finally:
        for node in cluster.nodes:
            node.kill()
        postgres.revive()
        redis.revive()
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
