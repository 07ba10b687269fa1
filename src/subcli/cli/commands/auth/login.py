"""``subcli auth login``: obtain tokens, verify them and store them."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import httpx

from subcli.cli.commands.auth.unverified import unverified
from subcli.cli.common import Common
from subcli.cli.patience import Patience
from subcli.cli.prompt import answer, ask_login, prompter_for
from subcli.cli.runtime import run
from subcli.cli.streams import Streams
from subcli.client.api import Api
from subcli.client.auth import GivenToken, TokenRefusedError, password_grant, place_for
from subcli.client.connection import http_client
from subcli.client.exchange import RequestFailed
from subcli.client.keyring import LOGIN_TIMEOUT_S
from subcli.client.network import describe_failure
from subcli.client.records import Credentials, Tokens
from subcli.core.errors import AuthError, NetworkError, RateLimitedError, ServerError, UsageError
from subcli.output.printable import one_line
from subcli.output.terminal.report import report
from subcli.settings.config import Settings
from subcli.settings.files import add_profile, user_directory, user_file
from subcli.shared.secret import Secret, is_token


def login(common: Common, streams: Streams, user: str | None, *, with_token: bool, insecure_storage: bool) -> int:
    """Log in and report where the login is stored.

    Args:
        user: whom to log in; ``None``: ask.
        with_token: read a token from stdin instead.
        insecure_storage: store it in a plaintext file.

    Raises:
        SubcliError: The server refused, or the login cannot be stored.
    """
    settings = common.settings(streams)
    settings.require_safe_for_secrets()
    credentials = Credentials(user_directory())
    place = place_for(insecure_storage)
    # Before prompting: a login that cannot be stored is useless.
    where = credentials.probe(place)
    given = _token_from_stdin(streams) if with_token else None
    tokens, name, verified = run(lambda _: _obtain(common, streams, settings, user, given), streams)
    credentials.save(settings.server, name, tokens, place, timeout_s=LOGIN_TIMEOUT_S)
    if common.json:
        streams.print_json({"login": {"server": settings.server, "user": name, "kept_in": where, "verified": verified}})
        return 0
    if common.quiet:
        return 0
    who = f" as {one_line(name)}" if name else ""
    streams.write(f"Logged in to {settings.server}{who}; stored in {where}.\n")
    if not verified:
        streams.write("The server cannot verify tokens, so this one was stored unverified.\n")
    if settings.token is not None:
        streams.write_error(f"{settings.token_origin} is set and takes precedence over this login.\n")
    _offer_profile(common, streams, settings)
    return 0


async def _obtain(
    common: Common, streams: Streams, settings: Settings, user: str | None, given: Secret | None
) -> tuple[Tokens, str | None, bool]:
    """Tokens from the user or from stdin, the user name, and whether the server verified them."""
    patience = Patience(settings.server, streams)
    async with http_client(settings) as http, patience.waiting():
        await _api(http, settings, GivenToken(None)).require_judge()
        if given is not None:
            tokens = Tokens(given)
        else:
            name, password = await _ask(common, streams, user, patience)
            tokens = await _granted(password_grant(http, settings.api_url, name, password))
        me = await _me(http, settings, tokens.access)
        if me is None:
            return tokens, user, False
        return tokens, str(me.get("user") or me.get("username") or me.get("name") or user or "") or None, True


async def _ask(common: Common, streams: Streams, user: str | None, patience: Patience) -> tuple[str, Secret]:
    if prompter_for(common, streams, patience) is None:
        raise UsageError(
            "No terminal to ask for a password on.",
            hint="Use a token instead: `subcli auth login --with-token < FILE`.",
        )
    with patience.paused():
        asked = await ask_login(streams, user)
    if asked is None:
        raise UsageError("No user name or password was given.", hint="Nothing was changed.")
    return asked


def _token_from_stdin(streams: Streams) -> Secret:
    try:
        text = streams.stdin.read(64 * 1024).strip()
    except UnicodeDecodeError:
        text = ""
    if not is_token(text):
        raise UsageError(
            "stdin does not contain a valid token.", hint="One line: `subcli auth login --with-token < FILE`."
        )
    return Secret(text)


async def _granted(grant: Coroutine[Any, Any, Tokens]) -> Tokens:
    """Await a grant; turn a refusal into one of our errors."""
    try:
        return await grant
    except TokenRefusedError as refused:
        if refused.status in (400, 401, 403):
            raise AuthError(f"Not logged in: {refused.reason.rstrip('.')}.", hint="Nothing was changed.") from None
        if refused.status == 429:
            raise RateLimitedError(
                f"Not logged in: {refused.reason.rstrip('.')}.", hint="Wait, then try again."
            ) from None
        if refused.status == 404:
            raise ServerError(
                "This server does not support logging in with a password.",
                hint="Use a token: `subcli auth login --with-token < FILE`.",
            ) from None
        raise ServerError(f"Not logged in: {refused.reason.rstrip('.')}.", hint="Try again later.") from None
    except httpx.HTTPError as error:
        raise NetworkError(
            f"No server answers: {describe_failure(error, 'the server')}.", hint="`--server URL`"
        ) from None


def _api(http: httpx.AsyncClient, settings: Settings, token: GivenToken) -> Api:
    proxy = settings.proxies.decide(settings.server)
    return Api(http, settings.api_url, token, proxy=proxy, server=settings.server)


async def _me(http: httpx.AsyncClient, settings: Settings, token: Secret) -> dict[str, Any] | None:
    """The user of a token; ``None`` if the server cannot tell."""
    try:
        return await _api(http, settings, GivenToken(token)).me()
    except RequestFailed as failed:
        if failed.status in (401, 403):
            raise AuthError("The server does not accept this token.", hint="Nothing was changed.") from None
        if failed.status in (404, 405):
            return None
        raise unverified(failed, "Nothing was changed.") from None


def _offer_profile(common: Common, streams: Streams, settings: Settings) -> None:
    """On a terminal, after ``--server``: offer to save the address as a profile."""
    path = user_file()
    if settings.server_origin != "flag" or path is None or prompter_for(common, streams) is None:
        return
    question = "Save this server as a profile named (empty: do not save): "
    try:
        name = run(lambda _: answer(streams, question), streams).strip()
        if name:
            add_profile(path, name, settings.server)
            streams.write_error(f"Use it with `--profile {name}`.\n")
    except UsageError as error:
        # The login is stored anyway.
        report(error, streams.stderr, streams.env)
