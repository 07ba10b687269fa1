"""Check everything between this machine and a verdict, one thing at a time (`subcli doctor`).

Nothing is submitted and nothing is changed, except for a test entry in the keyring, which is deleted again. A check
that depends on one that failed is skipped, with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final

from subcli.client.api import ServerInfo
from subcli.client.background import run_in_daemon_thread
from subcli.client.connection import connect
from subcli.client.doctor.access import check_keyring, check_problems, check_token, check_websocket
from subcli.client.doctor.diagnosis import Diagnosis
from subcli.client.doctor.reach import (
    check_api,
    check_certificate,
    check_clock,
    check_connection,
    check_judging,
    check_proxy,
)
from subcli.core.errors import SubcliError
from subcli.settings.config import Settings
from subcli.shared.platform import HERE

LIMIT_S: Final = 30.0
"""For all checks together, each of which has a limit of its own."""


async def diagnose(settings: Settings, version: str, *, limit_s: float = LIMIT_S) -> AsyncIterator[Diagnosis]:
    """Check everything on the way to the server, in order.

    Args:
        settings: of the command.
        version: of subcli.
        limit_s: checks that do not finish within this many seconds are reported.
    """
    until = asyncio.get_running_loop().time() + limit_s
    left = list(_CHECKS)
    async with contextlib.aclosing(_checks(settings, version)) as checks:
        while True:
            try:
                async with asyncio.timeout_at(until) as limit:
                    found = await anext(checks)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not limit.expired():
                    raise
                break
            if found.name in left:
                left = left[left.index(found.name) + 1 :]
            yield found
    detail = f"not finished within the {limit_s:g} s for all checks"
    yield Diagnosis(left[0], "failed", detail, "`--debug` shows what it waits for.")
    for diagnosis in _skipped(left[1:], "no time left"):
        yield diagnosis


async def _checks(settings: Settings, version: str) -> AsyncGenerator[Diagnosis, None]:
    system = f"Python {platform.python_version()}, {HERE.name}"
    yield Diagnosis("program", "ok", f"subcli {version}, {system}")
    yield Diagnosis("settings", "ok", f"server {settings.server}, from {_ORIGINS[settings.server_origin]}")
    yield (proxy := await check_proxy(settings))
    if proxy.state == "failed":
        for diagnosis in _skipped(_CHECKS[3:], "the proxy cannot be used"):
            yield diagnosis
        return
    yield (reached := await check_connection(settings))
    if reached.state == "failed":
        for diagnosis in _skipped(_CHECKS[4:], "the server was not reached"):
            yield diagnosis
        return
    yield (certificate := await check_certificate(settings))
    if certificate.state == "failed":
        for diagnosis in _skipped(_CHECKS[5:], "the connection is not safe"):
            yield diagnosis
        return
    api, reply = await check_api(settings)
    yield api
    yield check_clock(reply)
    if reply is None:
        for diagnosis in _skipped(_CHECKS[7:], "the server did not answer"):
            yield diagnosis
        return
    yield check_judging(reply.info)
    async for diagnosis in _check_access(settings, reply.info):
        yield diagnosis


async def _check_access(settings: Settings, info: ServerInfo) -> AsyncIterator[Diagnosis]:
    """Check the socket, the token and the keyring."""
    try:
        async with connect(settings, max_attempts=0) as client:
            yield await check_websocket(client)
            yield await check_token(client, info)
            if (problems := await check_problems(client)) is not None:
                yield problems
    except SubcliError as error:
        yield Diagnosis("websocket", "skipped", "the recorded login cannot be read")
        yield Diagnosis("token", "failed", error.message.rstrip("."), error.hint, error.kind)
    # A keyring that hangs must not hold up Ctrl-C.
    yield await run_in_daemon_thread(check_keyring, settings, info)


_CHECKS: Final = (
    *("program", "settings", "proxy", "server", "certificate", "api", "clock"),
    *("judging", "websocket", "token", "keyring"),
)
"""In their order."""


def _skipped(names: Sequence[str], why: str) -> list[Diagnosis]:
    return [Diagnosis(name, "skipped", why) for name in names]


_ORIGINS: Final = {
    "flag": "--server",
    "pasted URL": "a URL",
    "variable": "SUBCLI_SERVER",
    "project file": "the project file",
    "user file": "your settings",
    "default": "the default",
}
