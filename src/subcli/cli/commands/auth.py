"""``subcli auth``: log in, log out, see who one is, and hand the token to another program."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from subcli.cli.common import Common, command, print_json
from subcli.cli.common import group as make_group
from subcli.core.errors import AuthError, NetworkError, UsageError

if TYPE_CHECKING:
    import httpx

    from subcli.client.records import Credentials, Login, Tokens
    from subcli.settings.config import Settings
    from subcli.shared.secret import Secret

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Put the commands into the tree."""
    group = make_group(app, "auth", summary="Log in and out of servers.", example="subcli auth status")

    @command(group, "login", example="subcli auth login --server https://judge.example")
    def login(
        common: Common,
        user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Default: asked for.")] = None,
        with_token: Annotated[bool, typer.Option("--with-token", help="Read a token from stdin instead.")] = False,
        insecure_storage: Annotated[
            bool, typer.Option("--insecure-storage", help="Keep it in a plaintext file, not in the keyring.")
        ] = False,
    ) -> int:
        """Log in to a server, and keep the login."""
        return _login(common, user, with_token=with_token, insecure_storage=insecure_storage)

    @command(group, "logout", example="subcli auth logout")
    def logout(common: Common) -> int:
        """End the login, here and on the server."""
        return _logout(common)

    @command(group, "status", example="subcli auth status --json")
    def status(common: Common) -> int:
        """Show who you are to a server, and where that comes from."""
        return _status(common)

    @command(group, "token", example='curl -H "Authorization: Bearer $(subcli auth token)" URL')
    def token(common: Common) -> int:
        """Print the token, renewed if it has expired."""
        return _token(common)


# -- login and logout ---------------------------------------------------------------------------------


def _login(common: Common, user: str | None, *, with_token: bool, insecure_storage: bool) -> int:
    from subcli.client.auth import place_for
    from subcli.client.keyring import LOGIN_TIMEOUT_S
    from subcli.client.records import Credentials
    from subcli.settings.files import user_directory

    settings = common.settings()
    settings.require_safe_for_secrets()
    credentials = Credentials(user_directory())
    place = place_for(insecure_storage)
    # Before anything is asked or promised: a login that cannot be kept helps nobody.
    where = credentials.probe(place)
    given = _token_from_stdin() if with_token else None
    tokens, name, verified = _run(_obtain(common, settings, user, given))
    credentials.save(settings.server, name, tokens, place, timeout_s=LOGIN_TIMEOUT_S)
    if common.json:
        print_json({"login": {"server": settings.server, "user": name, "kept_in": where, "verified": verified}})
        return 0
    if common.quiet:
        return 0
    who = f" as {_shown(name)}" if name else ""
    sys.stdout.write(f"Logged in to {settings.server}{who}; kept in {where}.\n")
    if not verified:
        sys.stdout.write("The server has no way to verify a token, so this one is kept as it is.\n")
    if settings.token is not None:
        sys.stderr.write(f"{settings.token_origin} is set and goes before this login.\n")
    _offer_profile(common, settings)
    return 0


async def _obtain(
    common: Common, settings: Settings, user: str | None, given: Secret | None
) -> tuple[Tokens, str | None, bool]:
    """Tokens from the person or from stdin, whose they are, and whether the server could tell."""
    from subcli.client.auth import password_grant
    from subcli.client.records import Tokens

    async with _http(settings) as http:
        if given is not None:
            tokens = Tokens(given)
        else:
            name, password = await _ask(common, user)
            tokens = await _granted(password_grant(http, settings.api_url, name, password))
        me = await _me(http, settings, tokens.access)
        if me is None:
            return tokens, user, False
        return tokens, str(me.get("user") or me.get("username") or me.get("name") or user or "") or None, True


async def _ask(common: Common, user: str | None) -> tuple[str, Secret]:
    from subcli.cli.prompt import ask_login, in_daemon_thread, prompter_for

    if prompter_for(common) is None:
        raise UsageError(
            "There is no terminal to ask for a password.",
            hint="Give a token instead: `subcli auth login --with-token < FILE`.",
        )
    answer = await in_daemon_thread(lambda: ask_login(user))
    if answer is None:
        raise UsageError("No user name or no password was given.", hint="Nothing was changed.")
    return answer


def _token_from_stdin() -> Secret:
    from subcli.shared.secret import Secret, is_token

    try:
        text = sys.stdin.read(64 * 1024).strip()
    except UnicodeDecodeError:
        text = ""
    if not is_token(text):
        raise UsageError("What came on stdin is no token.", hint="One line: `subcli auth login --with-token < FILE`.")
    return Secret(text)


def _logout(common: Common) -> int:
    from subcli.client.records import Credentials
    from subcli.core.errors import CredentialError
    from subcli.settings.files import user_directory

    settings = common.settings()
    credentials = Credentials(user_directory())
    if credentials.login(settings.server) is None:
        raise UsageError(f"There is no login for {settings.server}.", hint="`subcli auth status` shows what there is.")
    told = False
    try:
        tokens = credentials.load(settings.server)
        settings.require_safe_for_secrets()
        told = tokens is not None and _run(_revoke(settings, tokens))
    except (CredentialError, NetworkError, UsageError):
        # What cannot be read, or not be sent safely, cannot be revoked; it is deleted below all the same.
        told = False
    credentials.delete(settings.server)
    if common.json:
        print_json({"logout": {"server": settings.server, "revoked": told}})
    elif not common.quiet:
        rest = "" if told else " The server could not be told; the login there ends by itself."
        sys.stdout.write(f"Logged out of {settings.server}.{rest}\n")
    return 0


async def _revoke(settings: Settings, tokens: Tokens) -> bool:
    import httpx

    headers = {"Authorization": f"Bearer {tokens.access.reveal()}"}
    form = {"refresh_token": tokens.refresh.reveal()} if tokens.refresh else {}
    async with _http(settings) as http:
        try:
            response = await http.post(f"{settings.api_url}/auth/logout", json=form, headers=headers)
        except httpx.HTTPError:
            return False
        return response.is_success


# -- looking ------------------------------------------------------------------------------------------


def _status(common: Common) -> int:
    from subcli.client.records import Credentials
    from subcli.settings.files import user_directory

    settings = common.settings()
    credentials = Credentials(user_directory())
    login = credentials.login(settings.server)
    token, source, problem = _present(settings, credentials, login)
    valid: bool | None = None
    user = login.user if login else None
    if token is not None:
        valid, user, token = _run(_validity(settings, token, user))
    expires_at = expiry(token) if token else None
    shadowed = login is not None and settings.token is not None
    fields: dict[str, Any] = {
        "server": settings.server,
        "user": user,
        "source": source,
        "valid": valid,
        "expires_at": expires_at,
        "renewable": settings.token is None and login is not None,
        "shadowed_login": shadowed,
        "problem": problem,
    }
    if common.json:
        print_json({"auth": fields})
    elif not common.quiet:
        _print_status(fields, token is not None, settings.token_withheld)
    if valid or (valid is None and token is not None):
        return 0
    return 4


def _present(
    settings: Settings, credentials: Credentials, login: Login | None
) -> tuple[Secret | None, str | None, str | None]:
    """The token in force, where it is from, and what went wrong on the way to it."""
    from subcli.core.errors import CredentialError

    if settings.token is not None:
        return settings.token, settings.token_origin, None
    if login is None:
        return None, None, None
    try:
        tokens = credentials.load(settings.server)
    except CredentialError as error:
        return None, login.place, f"{error.message} {error.hint}"
    return (tokens.access if tokens else None), login.place, None


async def _validity(settings: Settings, token: Secret, user: str | None) -> tuple[bool | None, str | None, Secret]:
    """Whether the server takes the token, whose it is, and the token that a stored one was renewed to.

    ``None``: the server cannot tell.
    """
    from subcli.client.client import connect
    from subcli.client.http import RequestFailed

    async with connect(settings) as client:
        try:
            me = await client.api.me_with_refresh()
        except AuthError:
            return False, user, token
        except RequestFailed as failed:
            if failed.status in (401, 403):
                return False, user, client.token() or token
            if failed.status in (404, 405):
                return None, user, token
            raise NetworkError(failed.reason, hint="Is the server there? `--server URL` names it.") from None
        token = client.token() or token
    return True, str(me.get("user") or me.get("username") or me.get("name") or user or "") or None, token


def _print_status(fields: dict[str, Any], has_token: bool, withheld: str) -> None:
    from subcli.client.auth import withheld_hint

    lines = [("server", fields["server"])]
    if has_token:
        state = {True: "valid", False: "not accepted", None: "kept; this server cannot verify it"}[fields["valid"]]
        lines.append(("user", fields["user"] or "not known"))
        lines.append(("token", f"{state}, from {_SOURCES.get(fields['source'], fields['source'])}"))
        if fields["expires_at"]:
            renewed = "; renewed by itself" if fields["renewable"] else ""
            lines.append(("expires", f"{fields['expires_at']}{renewed}"))
    else:
        lines.append(("token", fields["problem"] or "none"))
    if withheld:
        lines.append(("note", withheld_hint(withheld, fields["server"])))
    if fields["shadowed_login"]:
        lines.append(("note", f"{fields['source']} goes before the login on record"))
    if not has_token or fields["valid"] is False:
        lines.append(("next", f"subcli auth login --server {fields['server']}"))
    for name, text in lines:
        sys.stdout.write(f"{name:<8} {_shown(text)}\n")


_SOURCES = {"keyring": "the keyring", "file": "the plaintext credentials file"}


def _token(common: Common) -> int:
    settings = common.settings()
    token = _run(_current(settings))
    if token is None:
        raise AuthError(f"There is no token for {settings.server}.", hint="Log in: `subcli auth login`.")
    if common.json:
        print_json({"token": token.reveal()})
    else:
        sys.stdout.write(f"{token.reveal()}\n")
    return 0


async def _current(settings: Settings) -> Secret | None:
    from subcli.client.client import connect

    async with connect(settings) as client:
        token = client.token()
        expires = _expiry_seconds(token) if token else None
        if expires is not None and expires < time.time() + 30:
            await client.renew()
        return client.token()


# -- helpers ------------------------------------------------------------------------------------------


def expiry(token: Secret) -> str | None:
    """When a JSON Web Token says that it expires (RFC 7519 section 4.1.4); read, not verified."""
    from subcli.shared.protocol import timestamp

    seconds = _expiry_seconds(token)
    return timestamp(seconds) if seconds is not None else None


def _expiry_seconds(token: Secret) -> float | None:
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, msgspec.DecodeError):
        return None
    seconds = claims.get("exp") if isinstance(claims, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 2**33 else None


def _http(settings: Settings) -> httpx.AsyncClient:
    from subcli.client.client import http_client

    return http_client(settings)


async def _granted(grant: Coroutine[Any, Any, Tokens]) -> Tokens:
    """Tokens, or what the server's refusal means."""
    import httpx

    from subcli.client.auth import TokenRefusedError
    from subcli.client.network import describe_failure
    from subcli.core.errors import RateLimitedError, ServerError

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
                "This server has no login by password.",
                hint="Give it a token: `subcli auth login --with-token < FILE`.",
            ) from None
        raise ServerError(f"Not logged in: {refused.reason.rstrip('.')}.", hint="Try again later.") from None
    except httpx.HTTPError as error:
        raise NetworkError(
            f"No server answers: {describe_failure(error, 'the server')}.", hint="`--server URL`"
        ) from None


async def _me(http: httpx.AsyncClient, settings: Settings, token: Secret) -> dict[str, Any] | None:
    """Whose the token is; ``None`` where the server has no way to tell."""
    from subcli.client.api import Api
    from subcli.client.auth import GivenToken
    from subcli.client.http import RequestFailed

    try:
        return await Api(http, settings.api_url, GivenToken(token)).me()
    except RequestFailed as failed:
        if failed.status in (401, 403):
            raise AuthError("The server does not accept this token.", hint="Nothing was changed.") from None
        if failed.status in (404, 405):
            return None
        raise NetworkError(f"The token could not be verified: {failed.reason}.", hint="Nothing was changed.") from None


def _offer_profile(common: Common, settings: Settings) -> None:
    """On a terminal, after ``--server``: a profile, so that the address need not be typed again."""
    from subcli.cli.prompt import prompter_for
    from subcli.settings.files import add_profile, user_file

    path = user_file()
    if settings.server_origin != "flag" or path is None or prompter_for(common) is None:
        return
    sys.stderr.write("Name for a profile of this server (empty: none): ")
    sys.stderr.flush()
    name = sys.stdin.readline().strip()
    if name:
        add_profile(path, name, settings.server)
        sys.stderr.write(f"Use it with `--profile {name}`.\n")


def _run(main: Coroutine[Any, Any, T]) -> T:
    from subcli.cli.runtime import run

    return run(lambda _: main)


def _shown(text: Any) -> str:
    from subcli.output.printable import one_line

    return one_line(str(text))
