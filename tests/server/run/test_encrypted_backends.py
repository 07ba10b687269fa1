"""PostgreSQL and Redis that are reached over TLS, with passwords, as several hosts need them.

The servers in the test packages are built without TLS, so each has a terminator in front: its certificate is what is
checked, and what it hands on, the password among it, is decided by the real server.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis as redis_py
from redis.exceptions import AuthenticationError, ConnectionError, RedisError

from subcli.server.log.database import open_database
from subcli.server.redis.connection import connect
from subcli.server.settings import ServeError
from tests.backends import Postgres, RedisServer
from tests.client.certificates import make_certificate, tls_context
from tests.hang import HANG_S

USER = "secured"
PASSWORD = "canary-s3cret:with/odd@letters"
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@contextmanager
def terminator(context: ssl.SSLContext, target: Path | int, *, asks: bool) -> Iterator[int]:
    """Take TLS off, and hand on to a Unix socket or a port of this machine. Yields its own port.

    Args:
        asks: whether the client asks for TLS first, as that of PostgreSQL does.
    """
    loop = asyncio.new_event_loop()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.ExitStack() as closing:
            closing.callback(writer.transport.abort)
            if asks:
                if await reader.readexactly(8) != _SSL_REQUEST:
                    return
                writer.write(b"S")
                await writer.start_tls(context)
            if isinstance(target, int):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
            else:
                far_reader, far_writer = await asyncio.open_unix_connection(target)
            closing.callback(far_writer.transport.abort)
            pumping = [asyncio.create_task(pump(reader, far_writer)), asyncio.create_task(pump(far_reader, writer))]
            await asyncio.wait(pumping, return_when=asyncio.FIRST_COMPLETED)
            for each in pumping:
                each.cancel()
            await asyncio.gather(*pumping, return_exceptions=True)

    async def stop() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for _ in range(3):  # an aborted transport closes its socket in a later iteration
            await asyncio.sleep(0)

    starting = asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if asks else context)
    server = loop.run_until_complete(starting)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def everything_closed() -> None:
    """Wait for the sockets of this loop: redis-py closes what was refused without waiting for the end of TLS."""
    transports = asyncio.get_running_loop()._transports  # type: ignore[attr-defined]
    async with asyncio.timeout(HANG_S):
        while any(each.get_extra_info("socket").fileno() >= 0 for each in list(transports.values())):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """The directory of the CA that has signed the certificates of both."""
    return tmp_path / "tls"


@pytest.fixture
def context(authority: Path) -> ssl.SSLContext:
    return tls_context(authority)


@pytest.fixture
def database(postgres: Postgres, context: ssl.SSLContext, authority: Path) -> Iterator[str]:
    """A database that only its user may use, with a password and over TLS."""
    rules = postgres.directory / "data" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all {USER} scram-sha-256\n{before}")
    postgres.execute("SELECT pg_reload_conf()")
    postgres.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
    postgres.execute(f"CREATE DATABASE {USER} OWNER {USER}")
    with terminator(context, postgres.directory / ".s.PGSQL.5432", asks=True) as port:
        verified = f"sslmode=verify-full&sslrootcert={authority / 'ca.pem'}"
        yield f"postgresql+psycopg://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/{USER}?{verified}"
    postgres.execute(f"DROP DATABASE {USER} WITH (FORCE)")
    postgres.execute(f"DROP ROLE {USER}")
    rules.write_text(before)
    postgres.execute("SELECT pg_reload_conf()")


@pytest.fixture
def bus(redis_server: RedisServer, context: ssl.SSLContext, authority: Path) -> Iterator[str]:
    """Redis with a password, over TLS."""
    number = redis_server.fresh().rpartition("/")[2]
    with redis_py.Redis(port=redis_server.port) as admin:
        admin.acl_setuser(
            USER, enabled=True, passwords=[f"+{PASSWORD}"], commands=["+@all"], keys=["*"], channels=["*"]
        )
        with terminator(context, redis_server.port, asks=False) as port:
            verified = f"ssl_ca_certs={authority / 'ca.pem'}"
            yield f"rediss://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/{number}?{verified}"
        admin.acl_deluser(USER)


@pytest.mark.thorough
async def test_server_over_tls(start: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    """A submission is judged and watched as ever, with Redis in use; no password is logged."""
    async with start() as live:
        submission_id = await live.submit()
        assert (await live.ended(submission_id))["final_status"] == "passed"
        assert [text async for text in await live.watch(submission_id)]
        ready = (await live.http.get("/readyz")).json()
        assert (ready["database"], ready["redis"]) == ("up", "up")
    assert PASSWORD not in caplog.text
    assert quote(PASSWORD, safe="") not in caplog.text


@pytest.mark.thorough
@pytest.mark.parametrize("fault", ["password", "authority", "plain"])
def test_database_that_cannot_be_trusted(database: str, tmp_path: Path, fault: str) -> None:
    """A wrong password, a certificate of somebody else, no TLS: a sentence without the password."""
    make_certificate(tmp_path / "other")
    url = {
        "password": database.replace("canary-", "wrong-"),
        "authority": database.replace("/tls/", "/other/"),
        "plain": f"{database.partition('?')[0]}?sslmode=disable",
    }[fault]
    with pytest.raises(ServeError) as raised:
        open_database(url)
    assert "cannot be opened" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("password", AuthenticationError), ("authority", ConnectionError), ("plain", RedisError)],
)
async def test_redis_that_cannot_be_trusted(
    bus: str, tmp_path: Path, fault: str, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """The same for Redis; which then counts as away."""
    make_certificate(tmp_path / "other")
    url = {
        "password": bus.replace("canary-", "wrong-"),
        "authority": bus.replace("/tls/", "/other/"),
        "plain": bus.replace("rediss:", "redis:").partition("?")[0],
    }[fault]
    redis = connect(url)
    with pytest.raises(error) as raised:
        await redis.ping()
    await redis.aclose()
    await everything_closed()
    assert "s3cret" not in f"{raised.value}{caplog.text}"
