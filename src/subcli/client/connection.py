"""Connecting to a server: settings become an HTTP client, a login and, with both, a client that is ready to use."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx

from subcli.client.auth import (
    Authenticator,
    GivenToken,
    Prompting,
    SessionLogin,
    StoredLogin,
    TokenRefusedError,
    password_grant,
    refresh_grant,
)
from subcli.client.background import run_in_daemon_thread
from subcli.client.body import BoundedTransport
from subcli.client.client import Client
from subcli.client.exchange import Wait, wait_silently
from subcli.client.giving_up import close_when_given_up
from subcli.client.network import USER_AGENT, unusable_proxy
from subcli.client.records import Credentials
from subcli.client.trust import system_trust
from subcli.core.errors import CredentialError
from subcli.settings.config import Settings
from subcli.settings.files import user_directory
from subcli.shared.secret import Secret
from subcli.shared.urls import dialled_host, split_zone, without_zone

HTTP_TIMEOUT_S: Final = 10.0


@contextlib.asynccontextmanager
async def connect(
    settings: Settings, *, prompter: Prompter | None = None, max_attempts: int = 5, wait: Wait = wait_silently
) -> AsyncIterator[Client]:
    """A client for the server in ``settings``.

    Args:
        settings: see :func:`subcli.settings.config.load`.
        prompter: asks for a login if nothing else helps; ``None`` if there is nobody to ask.
        max_attempts: reconnects in a row without a new event, and repeats of a request.
        wait: waits before a request is repeated, and may tell the user why.

    Raises:
        AuthError: a login is recorded, but its tokens cannot be read.
        UsageError: its tokens would go over plain http to another machine, or a variable names no certificates.
        NetworkError: the proxy set in the environment cannot be used.
    """
    async with http_client(settings) as http:
        yield Client(
            settings,
            http,
            await _authenticator(settings, http, prompter),
            max_attempts=max_attempts,
            wait=wait,
        )


def http_client(settings: Settings) -> httpx.AsyncClient:
    """An HTTP client for the server, without redirects, that reads nothing in the environment by itself.

    Raises:
        NetworkError: the proxy cannot be used.
        UsageError: a variable names certificates that cannot be read.
    """
    proxy = settings.proxies.decide(settings.server)
    if proxy.problem:
        raise unusable_proxy(proxy)
    url = proxy.url.reveal() if proxy.url is not None else ""
    transport = httpx.AsyncHTTPTransport(
        # Not for plain http: loading the CAs takes longer than a submit.
        verify=system_trust() if urlsplit(settings.server).scheme == "https" else False,
        trust_env=False,
        proxy=httpx.Proxy(url, ssl_context=system_trust() if url.startswith("https:") else None) if url else None,
    )
    return httpx.AsyncClient(
        transport=BoundedTransport(transport),
        timeout=HTTP_TIMEOUT_S,
        follow_redirects=False,
        # No `proxy` here: httpx would send through a transport of its own, without bounds and without our certificates.
        trust_env=False,
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
        event_hooks={"request": [_dial_zone, close_when_given_up]},
    )


async def _dial_zone(request: httpx.Request) -> None:
    """Connect to the IPv6 zone in the address, but do not send it (RFC 6874 section 4)."""
    address, zone = split_zone(request.url.host)
    if zone:
        request.headers["Host"] = httpx.URL(without_zone(str(request.url))).netloc.decode()
        request.extensions["sni_hostname"] = address
        request.url = request.url.copy_with(host=dialled_host(request.url.host))


class Prompter(Protocol):
    """Asks a person for a login (:mod:`subcli.cli.prompt`)."""

    async def ask(self, server: str) -> tuple[str, Secret] | None:
        """User name and password; ``None`` if the person declines."""
        ...

    def refused(self, reason: str) -> None:
        """Tell the person that the login failed."""
        ...

    def tell(self, text: str) -> None:
        """Tell the person what became of the login."""
        ...


def _not_kept(server: str) -> str:
    """Says that a login made at a prompt is not stored, and how to make one that is."""
    return (
        f"This login ends with this command. To stay logged in: `subcli auth login --server {server}`; "
        "without a keyring, add `--insecure-storage`, which stores it in a file that only you can read."
    )


async def _authenticator(settings: Settings, http: httpx.AsyncClient, prompter: Prompter | None) -> Authenticator:
    """The token of a variable, or the recorded login; with a prompter if there is one."""
    server, api_url = settings.server, settings.api_url
    inner: Authenticator = GivenToken(settings.token, settings.token_origin, server, settings.token_withheld)
    credentials = Credentials(user_directory())
    grant = functools.partial(refresh_grant, http, api_url)
    if settings.token is None and credentials.login(server) is not None:
        settings.require_safe_for_secrets()
        tokens = await run_in_daemon_thread(credentials.load, server)
        if tokens is not None:
            inner = StoredLogin(credentials, server, tokens, grant)
    if prompter is None:
        return inner
    person = prompter

    async def ask() -> Authenticator | None:
        answer = await person.ask(server)
        if answer is None:
            return None
        settings.require_safe_for_secrets()
        try:
            tokens = await password_grant(http, api_url, *answer)
        except (TokenRefusedError, httpx.HTTPError) as error:
            person.refused(error.reason if isinstance(error, TokenRefusedError) else "the server did not answer")
            return None
        login = credentials.login(server)
        if login is None:
            person.tell(_not_kept(server))
            return SessionLogin(tokens, grant, server)
        try:
            await run_in_daemon_thread(credentials.save, server, answer[0], tokens, login.place)
        except CredentialError as error:
            person.tell(f"{error.message} {_not_kept(server)}")
            return SessionLogin(tokens, grant, server)
        return StoredLogin(credentials, server, tokens, grant)

    return Prompting(inner, ask, server)
