"""``subcli __complete KIND WORD…``: the names that a shell offers at TAB, one a line.

The completion scripts know commands and options by themselves; they ask here only for what they cannot know:
``ids``, ``problems``, ``languages`` and ``profiles``. ``WORD…`` is the command line so far.

A shell waits for us, so: nothing is imported that is not needed, what is remembered is offered at once, and when
it is old a process of its own asks the server, for whose answer we wait no longer than the deadline. Whatever
goes wrong, nothing is said: the shell is drawing a line that somebody types.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from subcli.workspace.completion_cache import KINDS, CompletionCache, cache_directory, is_plain

DEADLINE_S: Final = 0.150
"""From the start of the process; ``SUBCLI_COMPLETION_MS`` sets another one."""
RESERVE_S: Final = 0.015
PAUSE_S: Final = 5.0
REQUEST_S: Final = 5.0
DEFAULT_SERVER: Final = "http://127.0.0.1:8000"


def main(arguments: Sequence[str]) -> None:
    """Print the names, or nothing, and end the process."""
    left = _deadline() - _age()
    if left <= 0 or not arguments:
        return
    # Whatever takes too long, an import on a busy machine included, is given up.
    signal.signal(signal.SIGALRM, lambda number, frame: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, left)
    with contextlib.suppress(Exception):
        names = _names(arguments[0], arguments[1:], time.monotonic() + left - RESERVE_S)
        os.write(1, "".join(f"{name}\n" for name in names).encode())
    # At once, before the alarm finds an interpreter that is clearing up.
    os._exit(0)


def _names(kind: str, words: Sequence[str], until: float) -> list[str]:
    flags = _flags(words)
    if kind == "profiles":
        return [name for name in _profiles(_read_toml(_user_file())) if is_plain(name)]
    if kind not in KINDS:
        return []
    recall = CompletionCache(server_of(flags, os.environ, Path.cwd(), _user_file()), cache_directory())
    names, fresh = recall.names(kind)
    if not fresh and recall.ask_now(PAUSE_S):
        child = _in_background(lambda: _refresh(recall.server, flags))
        if not names:
            select.select([child], [], [], max(0.0, until - time.monotonic()))
            names, _ = recall.names(kind)
    return names


def _flags(words: Sequence[str]) -> dict[str, str]:
    """What ``--server`` and ``--profile`` say on the line."""
    found = {}
    for name in ("server", "profile"):
        for word, following in itertools.pairwise([*words, ""]):
            if word == f"--{name}" and following:
                found[name] = following.strip("'\"")
            elif word.startswith(f"--{name}="):
                found[name] = word.partition("=")[2].strip("'\"")
    return found


def server_of(flags: Mapping[str, str], env: Mapping[str, str], cwd: Path, user_file: Path | None) -> str:
    """Under which server the names are kept that this command line would see.

    As :func:`subcli.settings.config.load` decides, whose imports would take half of the time there is; nothing is sent
    anywhere on the strength of this.
    """
    server = flags.get("server") or env.get("SUBCLI_SERVER")
    if not server:
        for directory in (cwd, *cwd.parents):
            if (path := directory / ".subcli.toml").is_file():
                server = _read_toml(path).get("server")
                break
    if not server:
        user = _read_toml(user_file)
        profile = _profiles(user).get(flags.get("profile") or env.get("SUBCLI_PROFILE", ""))
        server = (profile or {}).get("server") or user.get("server") or DEFAULT_SERVER
    scheme, found, rest = str(server).partition("://")
    return (f"{scheme.lower()}://{rest}" if found else f"http://{server}").rstrip("/")


def _user_file() -> Path | None:
    from platformdirs import user_config_path

    with contextlib.suppress(RuntimeError, OSError, KeyError):
        return user_config_path("subcli") / "config.toml"
    return None


def _read_toml(path: Path | None) -> dict[str, Any]:
    if path is None or not path.is_file():
        return {}
    import tomllib

    with path.open("rb") as file:
        return tomllib.load(file)


def _profiles(user: Mapping[str, Any]) -> dict[str, Any]:
    profiles = user.get("profiles")
    return profiles if isinstance(profiles, dict) else {}


def _deadline() -> float:
    try:
        return float(os.environ["SUBCLI_COMPLETION_MS"]) / 1000
    except (KeyError, ValueError):
        return DEADLINE_S


def _age() -> float:
    """Seconds since this process was started: the interpreter's own start counts too."""
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.03


def _in_background(work: Callable[[], None]) -> int:
    """Do ``work`` in a process of its own, which nobody waits for; the descriptor can be read when it is done."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return reading
    # The shell reads our stdout to its end, and Ctrl-C is for what is on the line.
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    with contextlib.suppress(BaseException):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(REQUEST_S) + 3)
        work()
    os._exit(0)


def _refresh(server: str, flags: Mapping[str, str]) -> None:
    """Ask for all lists, as the commands do: with the same settings, trust and login, but without a person."""
    import asyncio

    from subcli.cli.common import Common
    from subcli.client.client import connect
    from subcli.workspace.completion_cache import names_of_problems, remember

    settings = Common(server=flags.get("server"), profile=flags.get("profile"), no_input=True).settings()
    if settings.server != server:
        return

    async def ask() -> None:
        async with asyncio.timeout(REQUEST_S), connect(settings, max_attempts=0) as client:
            with contextlib.suppress(Exception):
                remember(server, **names_of_problems(await client.api.problems()))
            remember(server, ids=[row.submission_id for row in await client.submissions(limit=50)])

    asyncio.run(ask())
