"""Reaching the server: proxy, connection, certificate, REST, clock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from subcli.client.api import ServerInfo, as_server_info
from subcli.client.body import decode_json
from subcli.client.connection import http_client
from subcli.client.doctor.diagnosis import Diagnosis
from subcli.client.network import describe_failure, redirected, server_time, tls_failure
from subcli.client.transport import ATTEMPT_DELAY_S
from subcli.client.trust import system_trust, trust_origin
from subcli.core.errors import SubcliError, UsageError
from subcli.settings.config import Settings
from subcli.shared.encoding import timestamp
from subcli.shared.secret import redact
from subcli.shared.urls import dialled_host, is_loopback, redirect_target, split_zone

CONNECT_TIMEOUT_S: Final = 5.0
RESPONSE_TIMEOUT_S: Final = 5.0
MAX_RESPONSE_BYTES: Final = 1024 * 1024
MAX_CLOCK_OFFSET_S: Final = 5.0
"""A larger difference is reported: an HTTP date has whole seconds, and a response takes time."""

EXPIRES_SOON_S: Final = 14 * 86_400


class ServerReply(msgspec.Struct, frozen=True):
    """What the server said about itself, and when.

    Attributes:
        date: the ``Date`` header.
        asked_at: Unix time of the request.
        took_s: until its response was read.
    """

    info: ServerInfo
    date: str | None
    asked_at: float
    took_s: float


async def check_proxy(settings: Settings) -> Diagnosis:
    """Which proxy is used, and why; it must accept connections."""
    proxy = settings.proxies.decide(settings.server)
    if proxy.problem:
        return Diagnosis("proxy", "failed", proxy.problem, proxy.hint)
    if proxy.url is not None:
        parts = urlsplit(proxy.url.reveal())
        try:
            await _open(parts.hostname, parts.port)
        except (OSError, TimeoutError) as error:
            return Diagnosis("proxy", "failed", describe_failure(error, str(proxy)), proxy.hint)
    if settings.proxies.ignored and settings.proxies.variables:
        ignored = ", ".join(repr(redact(entry)) for entry in settings.proxies.ignored)
        return Diagnosis("proxy", "warning", f"{proxy.why}; unreadable in NO_PROXY: {ignored}", "Correct NO_PROXY.")
    if proxy.url is not None:
        return Diagnosis("proxy", "ok", proxy.why)
    return Diagnosis("proxy", "ok", f"none for this server: {proxy.why}")


def _is_proxied(settings: Settings) -> bool:
    return settings.proxies.decide(settings.server).url is not None


async def _open(host: str | None, port: int | None, **options: Any) -> Mapping[str, Any]:
    """Connect to the fastest of a host's addresses and hang up; the certificate of the other side, if it has one.

    Raises:
        OSError: there is no connection, or not in time.
    """
    if host is not None and "ssl" in options:
        options["server_hostname"] = split_zone(host)[0]
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        _, writer = await asyncio.open_connection(
            dialled_host(host or ""), port, happy_eyeballs_delay=ATTEMPT_DELAY_S, interleave=1, **options
        )
    certificate: Mapping[str, Any] = writer.get_extra_info("peercert") or {}
    # At once: a proper TLS shutdown waits for the other side, and the loop may end before that.
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return certificate


async def check_connection(settings: Settings) -> Diagnosis:
    parts = urlsplit(settings.server)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    if _is_proxied(settings):
        return Diagnosis("server", "skipped", "reached through the proxy, see below")
    started = time.monotonic()
    try:
        await _open(parts.hostname, port)
    except (OSError, TimeoutError) as error:
        cure = "Name the server with `--server URL`, or start one here with `subcli serve`."
        return Diagnosis("server", "failed", describe_failure(error, parts.netloc), cure)
    return Diagnosis(
        "server", "ok", f"{parts.netloc} accepts connections, in {milliseconds(time.monotonic() - started)}"
    )


async def check_certificate(settings: Settings) -> Diagnosis:
    parts = urlsplit(settings.server)
    if parts.scheme != "https":
        if is_loopback(parts.hostname):
            return Diagnosis("certificate", "ok", "none needed on this machine")
        return Diagnosis("certificate", "warning", "the connection is not encrypted", "Use an https address.")
    trust = trust_origin(os.environ)
    try:
        context = system_trust()
    except UsageError as error:
        return Diagnosis("certificate", "failed", error.message.rstrip("."), error.hint, error.kind)
    if _is_proxied(settings):
        return Diagnosis("certificate", "skipped", f"checked through the proxy, against {trust}")
    try:
        certificate = await _open(parts.hostname, parts.port or 443, ssl=context)
    except (OSError, TimeoutError) as error:
        blocked = tls_failure(error, parts.netloc)
        if blocked is not None:
            return Diagnosis("certificate", "failed", blocked.reason.rstrip("."), blocked.hint)
        cure = "Is this the https port? If it is, the server's TLS version is too old for this Python."
        return Diagnosis("certificate", "failed", describe_failure(error, parts.netloc), cure)
    ends = ssl.cert_time_to_seconds(certificate["notAfter"]) if "notAfter" in certificate else None
    if ends is not None and ends - time.time() < EXPIRES_SOON_S:
        return Diagnosis(
            "certificate", "warning", f"valid only until {timestamp(ends)}", "Tell whoever runs the server."
        )
    until = f", until {timestamp(ends)[:10]}" if ends is not None else ""
    return Diagnosis("certificate", "ok", f"trusted by {trust}{until}")


async def check_api(settings: Settings) -> tuple[Diagnosis, ServerReply | None]:
    """Check that the server is a judge. One without ``/info`` has no features, but is a judge if it has problems."""
    asked_at, started = time.time(), time.monotonic()
    try:
        async with http_client(settings) as http, asyncio.timeout(2 * RESPONSE_TIMEOUT_S):
            status, headers, body = await _get(http, f"{settings.api_url}/info")
            is_old = status in (401, 403, 404, 405, 501)
            problems = await _get(http, f"{settings.api_url}/problems") if is_old else None
    except SubcliError as error:
        return Diagnosis("api", "failed", error.message.rstrip("."), error.hint), None
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        cure = "Check the proxy, if there is one, and the server's log."
        return Diagnosis("api", "failed", describe_failure(error, urlsplit(settings.server).netloc), cure), None
    url = f"{settings.api_url}/info"
    if "Location" in headers and 300 <= status < 400 and redirect_target(url, headers["Location"]) is None:
        blocked = redirected(url, headers["Location"], settings.server)
        return Diagnosis("api", "failed", blocked.reason.rstrip("."), blocked.hint), None
    took_s = time.monotonic() - started
    date = headers.get("Date")
    if problems is not None and (problems[0] in (401, 403) or problems[2] is not None):
        detail = "no /info: the server has no optional features; missed events are fetched over REST"
        return Diagnosis("api", "warning", detail), ServerReply(ServerInfo(), date, asked_at, took_s)
    if not isinstance(body, dict):
        detail = f"{settings.api_url} answers HTTP {status}, but not like a judge"
        return Diagnosis("api", "failed", detail, _PATH, "server"), None
    info = as_server_info(body)
    named = f"{info.name} {info.version}".strip() or "unnamed server"
    mode = ", demo mode" if info.demo else ""
    features = ", ".join(sorted(info.features)) or "no features"
    return Diagnosis("api", "ok", f"{named}{mode}: {features}"), ServerReply(info, date, asked_at, took_s)


async def _get(http: httpx.AsyncClient, url: str) -> tuple[int, httpx.Headers, Any]:
    """Status, headers and decoded body; the body is ``None`` if the response is an error, not JSON, or too long."""
    content = b""
    async with http.stream("GET", url, timeout=RESPONSE_TIMEOUT_S) as response:
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MAX_RESPONSE_BYTES:
                return response.status_code, response.headers, None
    return response.status_code, response.headers, decode_json(content) if response.is_success and content else None


def check_judging(info: ServerInfo) -> Diagnosis:
    """Whether somebody judges; if not, a submission would wait."""
    if info.judging is None:
        return Diagnosis("judging", "skipped", "the server does not say whether anybody judges")
    if info.judging:
        return Diagnosis("judging", "ok", "a worker is there")
    cure = "Tell whoever runs the server. There, `/readyz` says why, and `subcli worker` starts one."
    return Diagnosis("judging", "failed", "no worker judges at the moment: submissions wait", cure, "server")


_PATH: Final = "If its REST API is elsewhere, set `api_path` (or SUBCLI_API_PATH)."


def check_clock(reply: ServerReply | None) -> Diagnosis:
    there = server_time(reply.date) if reply is not None else None
    if reply is None or there is None:
        return Diagnosis("clock", "skipped", "the server did not send its time")
    # The date is truncated to whole seconds: add half of one.
    ahead_s = reply.asked_at + reply.took_s / 2 - (there + 0.5)
    if abs(ahead_s) <= MAX_CLOCK_OFFSET_S:
        return Diagnosis("clock", "ok", "in sync with the server's")
    word = "ahead of" if ahead_s > 0 else "behind"
    return Diagnosis(
        "clock",
        "warning",
        f"{_span(abs(ahead_s))} {word} the server's: tokens seem to expire early or late, and ages are wrong",
        "`timedatectl set-ntp true` sets this machine's clock.",
    )


def milliseconds(seconds: float) -> str:
    """A short time in words."""
    return f"{seconds * 1000:.0f} ms"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
