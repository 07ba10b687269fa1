"""A real server on loopback in the test's event loop, with a judge that the test controls."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import socket
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import Engine, create_engine, text
from websockets.asyncio.client import ClientConnection, connect

from subcli.judge.job import Job
from subcli.judge.languages.language import Language
from subcli.judge.problem import Problem, ResourceLimits
from subcli.judge.shelf import Shelf
from subcli.judge.trial import self_test
from subcli.server.accounts.accounts import Accounts
from subcli.server.accounts.passwords import Passwords
from subcli.server.accounts.permissions import Role
from subcli.server.app import AuthConfig, create_app
from subcli.server.jobs.service import service_of
from subcli.server.log.database import open_database
from subcli.server.log.store import Store
from subcli.server.parts import Services
from subcli.server.redis.connection import connect as connect_redis
from subcli.server.run.server import Server
from subcli.server.settings import PasswordCost, ServerLimits
from tests.hang import HANG_S

if TYPE_CHECKING:
    from tests.backends import Postgres

Event = Mapping[str, Any]
SELF_TEST = self_test().problem.slug
KEY = b"a signing key of tests, long enough"
CHEAP = PasswordCost(passes=1, memory_kib=8, lanes=1)
PASSWORD = "correct horse"


def update(status: str, **more: Any) -> Event:
    return {"type": "status_update", "status": status, **more}


def result(name: str, status: str = "passed", **more: Any) -> Event:
    return {"type": "test_result", "test_name": name, "status": status, "duration_ms": 5, **more}


def complete(final_status: str = "passed", **counts: int) -> Event:
    return {"type": "complete", "final_status": final_status, "summary": {"total_tests": 2, **counts}}


SHORT = (
    update("building"),
    update("testing", total_tests=2),
    result("One"),
    result("Two"),
    update("completed"),
    complete(passed=2, failed=0, duration_ms=10),
)


class FakeJudge:
    """Yields `SHORT`, or what the test puts into `events` if the submission's source is `wait`."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.events: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        self.running = 0
        self.ends_itself = True

    async def __call__(self, job: Job) -> AsyncIterator[Event]:
        if job.problem.slug == SELF_TEST:
            for each in SHORT:
                yield each
            return
        self.jobs.append(job)
        self.running += 1
        try:
            if next(iter(job.files.values())) != "wait":
                for short in SHORT:
                    yield short
                return
            while (given := await self.events.get()) is not None:
                if isinstance(given, Exception):
                    raise given
                yield given
                if given["type"] == "complete" and self.events.empty() and self.ends_itself:
                    return
        finally:
            self.running -= 1


@dataclass
class Live:
    """A running server."""

    url: str
    http: httpx.AsyncClient
    judge: Any
    server: Server
    limits: ServerLimits
    accounts: Accounts
    services: Services
    sockets: AsyncExitStack = field(default_factory=AsyncExitStack)

    def add_user(self, name: str, password: str = PASSWORD, role: Role = Role.STUDENT) -> None:
        self.accounts.users.add(name, Passwords(CHEAP).hash(password), role)

    async def grant(self, **fields: str) -> httpx.Response:
        return await self.http.post("/api/auth/token", data=fields)

    async def log_in(self, name: str, password: str = PASSWORD) -> dict[str, Any]:
        response = await self.grant(grant_type="password", username=name, password=password)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def be(self, name: str, role: Role = Role.STUDENT) -> dict[str, Any]:
        """Log in as this user for all further requests; the user is added if there is none."""
        if name not in {user.name for user in self.accounts.users.all()}:
            self.add_user(name, role=role)
        granted = await self.log_in(name)
        self.http.headers["Authorization"] = f"Bearer {granted['access_token']}"
        return granted

    async def submit(self, source: str = "print()", **more: Any) -> int:
        body = {"problem": "echo", "language": "python", "source_code": source, **more}
        response = await self.http.post("/api/submissions", json=body)
        assert response.status_code == 201, response.text
        return int(response.json()["submission_id"])

    async def watch(self, submission_id: object, query: str = "", **options: Any) -> ClientConnection:
        base = options.pop("url", self.url.replace("http", "ws"))
        url = f"{base}/ws/submissions/{submission_id}{query}"
        options = {"compression": None, "proxy": None, **options}
        return await self.sockets.enter_async_context(connect(url, open_timeout=HANG_S, **options))

    async def until(self, condition: Callable[[], bool], seconds: float = HANG_S) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "did not happen"
            await asyncio.sleep(0.005)

    async def ended(self, submission_id: int) -> dict[str, Any]:
        while True:
            snapshot = (await self.http.get(f"/api/submissions/{submission_id}")).json()
            if snapshot["final_status"]:
                return dict(snapshot)
            await asyncio.sleep(0.01)


def make_problem() -> Problem:
    languages = {
        name: Language(name=name, source=f"solution.{suffix}", run=("true", "{source}"))
        for name, suffix in (("python", "py"), ("javascript", "js"))
    }
    return Problem(
        id=7,
        slug="echo",
        title="Echo",
        description="Say it again.",
        languages=languages,
        limits=ResourceLimits(),
        root=Path(),
        total_tests=2,
    )


_SQLITE = "sqlite"
_POSTGRES = "postgresql"


@dataclass(frozen=True)
class Backends:
    """The database of a test's server, and the Redis that joins it to others, if any."""

    database: str
    redis: str | None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests marked `every_backend` with both databases and, if they start a server, with both buses.

    A default run has SQLite and no Redis; what only PostgreSQL or Redis shows is tested with them there too. CI runs a
    third of the servers' tests with both: the store's and the buses' own tests show all that depends on them.
    """
    parametrized = (mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "backends" not in metafunc.fixturenames or "backends" in parametrized:
        return
    chosen = [(_SQLITE, "memory")]
    in_ci: list[tuple[str, str]] = []
    if metafunc.definition.get_closest_marker("every_backend"):
        if "bus" not in metafunc.fixturenames:
            in_ci.append((_POSTGRES, "memory"))
        elif os.environ.get("SUBCLI_TEST_BACKENDS"):
            chosen += [(_POSTGRES, "redis"), (_POSTGRES, "memory"), (_SQLITE, "redis")]
        elif zlib.crc32(metafunc.definition.nodeid.encode()) % 3 == 0:
            in_ci.append((_POSTGRES, "redis"))
    values = [pytest.param(each, id="+".join(each)) for each in chosen]
    values += [pytest.param(each, id="+".join(each), marks=pytest.mark.thorough) for each in in_ci]
    metafunc.parametrize("backends", values, indirect=True)


class Databases:
    """Databases with the schema, emptied and lent again: making one takes ten times as long as emptying it."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._free: list[str] = []
        self._numbers = itertools.count(1)
        postgres.execute("CREATE DATABASE migrated")
        open_database(postgres.url("migrated")).dispose()
        self._empty = self._state("migrated")
        # The migrations made one user.
        [(users,)] = postgres.rows("SELECT json_agg(users) FROM users", "migrated")
        self._reset = _RESET.format(json.dumps(users).replace("'", "''"))

    @contextmanager
    def lend(self) -> Iterator[str]:
        """The URL of an empty database, for one test."""
        name = self._free.pop() if self._free else self._make()
        yield self._postgres.url(name)
        self._postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        self._postgres.execute(self._reset, name)
        # A test that changed the schema leaves nothing to the next.
        if self._state(name) == self._empty:
            self._free.append(name)

    def _make(self) -> str:
        name = f"t{next(self._numbers)}"
        self._postgres.execute(f"CREATE DATABASE {name} TEMPLATE migrated STRATEGY file_copy")
        return name

    def _state(self, name: str) -> object:
        """Its schema."""
        return self._postgres.rows(_SCHEMA, name)


_SCHEMA = """
SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
ORDER BY 1, 2, 3
"""
_RESET = """
DO $$ BEGIN
    EXECUTE (
        SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ',') || ' RESTART IDENTITY'
        FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'write_probes')
    );
    INSERT INTO users SELECT * FROM json_populate_recordset(NULL::users, '{}');
    PERFORM setval(pg_get_serial_sequence('users', 'id'), max(id)) FROM users;
END $$
"""


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> Databases:
    """Empty databases in PostgreSQL."""
    return Databases(postgres)


@pytest.fixture
def backends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backends]:
    """Fresh backends for this test."""
    database, bus = request.param
    redis = request.getfixturevalue("redis_server").fresh() if bus == "redis" else None
    if database == _SQLITE:
        shutil.copy(request.getfixturevalue("migrated"), tmp_path / "subcli.db")
        yield Backends(f"sqlite:///{tmp_path / 'subcli.db'}", redis)
        return
    with request.getfixturevalue("databases").lend() as url:
        yield Backends(url, redis)


@pytest.fixture
def database(backends: Backends) -> str:
    """The URL of this test's database."""
    return backends.database


@pytest.fixture
def bus(backends: Backends) -> str | None:
    """The URL of this test's Redis, if any."""
    return backends.redis


@pytest.fixture
def sql(database: str) -> Iterator[Callable[[str], Sequence[Any]]]:
    """Runs a statement directly on this test's database."""
    engine = create_engine(database)

    def run(statement: str) -> Sequence[Any]:
        with engine.begin() as connection:
            done = connection.execute(text(statement))
            return done.all() if done.returns_rows else ()

    yield run
    engine.dispose()


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_database(database)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> Iterator[Store]:
    store = Store(engine, time.time)
    yield store
    store.close()


@pytest.fixture
def start(database: str, bus: str | None) -> Callable[..., Any]:
    """A context manager that runs a server on this test's data."""

    @asynccontextmanager
    async def start(
        judge: Any = None,
        problems: Mapping[str, Problem] | None = None,
        *,
        auth: bool = False,
        origins: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
        redis: str | None = bus,
        shelf: Shelf | None = None,
        concurrency: int = 1,
        root_path: str = "",
        **limits: Any,
    ) -> AsyncIterator[Live]:
        engine = open_database(database)
        judge = judge or FakeJudge()
        chosen = ServerLimits(**{"shutdown_s": 1.0, **limits})
        judgeable = problems = problems or {"echo": make_problem()}
        if shelf is not None:
            problems, judgeable = shelf.problems, shelf.judgeable
        app = create_app(
            engine,
            problems,
            service_of(judge, judgeable, concurrency, chosen) if concurrency else None,
            limits=chosen,
            auth=AuthConfig(KEY, CHEAP, clock) if auth else None,
            allowed_origins=origins,
            redis=None if redis is None else connect_redis(redis),
            shelf=shelf,
            root_path=root_path,
        )
        started = asyncio.Event()
        server = Server(app, chosen, started.set, stop_with_stdin=False)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            serving = asyncio.create_task(server.serve([listener]))
            await started.wait()
            try:
                async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=HANG_S) as http:
                    accounts = Accounts(engine, clock, chosen, KEY)
                    live = Live(url, http, judge, server, chosen, accounts, app.state.services)
                    async with live.sockets:
                        yield live
            finally:
                # Otherwise a test that failed would leave its connections to the next one.
                server.should_exit = True
                await serving

    return start


@pytest.fixture
async def live(start: Callable[..., Any]) -> AsyncIterator[Live]:
    async with start() as server:
        yield server


@pytest.fixture
async def guarded(start: Callable[..., Any]) -> AsyncIterator[Live]:
    """A server with logins, where we are Ada."""
    async with start(auth=True) as server:
        await server.be("ada")
        yield server


@pytest.fixture
def problem() -> Problem:
    return make_problem()
