"""``subcli auth status``: who you are logged in as, and where the token comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from subcli.cli.commands.auth.expiry import expires_at
from subcli.cli.commands.auth.unverified import unverified
from subcli.cli.common import Common
from subcli.cli.patience import Patience
from subcli.cli.runtime import run
from subcli.cli.streams import Streams
from subcli.client.auth import withheld_hint
from subcli.client.connection import connect
from subcli.client.exchange import RequestFailed
from subcli.client.records import Credentials, Login
from subcli.core.errors import AuthError, CredentialError
from subcli.output.printable import one_line
from subcli.settings.config import Settings
from subcli.settings.files import user_directory
from subcli.shared.secret import Secret


def status(common: Common, streams: Streams) -> int:
    """Print the login in force; 0 unless it is missing or refused, then 4."""
    settings = common.settings(streams)
    credentials = Credentials(user_directory())
    login = credentials.login(settings.server)
    token, refresh, source, problem = _present(settings, credentials, login)
    valid: bool | None = None
    user = login.user if login else None
    me: Mapping[str, Any] = {}
    if token is not None:
        present = token
        valid, me, token = run(lambda _: _validity(settings, streams, present), streams)
        user = str(me.get("user") or me.get("username") or me.get("name") or user or "") or None
    shadowed = login is not None and settings.token is not None
    fields: dict[str, Any] = {
        "server": settings.server,
        "user": user,
        "source": source,
        "valid": valid,
        "expires_at": (expires_at(token) or _text(me.get("expires_at"))) if token else None,
        "role": _text(me.get("role")),
        "credential": _text(me.get("credential")),
        "token_name": _text(me.get("token_name")),
        "renewable": refresh,
        "shadowed_login": shadowed,
        "problem": problem,
    }
    if common.json:
        streams.print_json({"auth": fields})
    elif not common.quiet:
        _print_status(streams, fields, token is not None, settings.token_withheld)
    if valid or (valid is None and token is not None):
        return 0
    return 4


def _present(
    settings: Settings, credentials: Credentials, login: Login | None
) -> tuple[Secret | None, bool, str | None, str | None]:
    """The token in force, whether it can be renewed, where it is from, and why it could not be read."""
    if settings.token is not None:
        return settings.token, False, settings.token_origin, None
    if login is None:
        return None, False, None, None
    try:
        tokens = credentials.load(settings.server)
    except CredentialError as error:
        return None, False, login.place, f"{error.message} {error.hint}"
    if tokens is None:
        return None, False, login.place, None
    return tokens.access, tokens.refresh is not None, login.place, None


async def _validity(
    settings: Settings, streams: Streams, token: Secret
) -> tuple[bool | None, Mapping[str, Any], Secret]:
    """Whether the server accepts the token, what it says about it, and the token after a renewal.

    Validity is ``None`` if the server cannot tell.
    """
    async with connect(settings) as client, Patience(settings.server, streams).waiting():
        try:
            me = await client.api.me_with_refresh()
        except AuthError:
            return False, {}, token
        except RequestFailed as failed:
            if failed.status in (401, 403):
                return False, {}, client.token() or token
            if failed.status in (404, 405):
                return None, {}, token
            raise unverified(failed) from None
        token = client.token() or token
    return True, me, token


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _print_status(streams: Streams, fields: dict[str, Any], has_token: bool, withheld: str) -> None:
    lines = [("server", fields["server"])]
    if has_token:
        state = {True: "valid", False: "not accepted", None: "stored; this server cannot verify it"}[fields["valid"]]
        role = f" ({fields['role']})" if fields["role"] else ""
        lines.append(("user", f"{fields['user'] or 'unknown'}{role}"))
        lines.append(("token", f"{state}, from {_SOURCES.get(fields['source'], fields['source'])}"))
        if fields["token_name"]:
            lines.append(("access", f"access token {fields['token_name']}, scope {fields['credential']}"))
        if fields["expires_at"]:
            renewed = "; renewed automatically" if fields["renewable"] else ""
            lines.append(("expires", f"{fields['expires_at']}{renewed}"))
    else:
        lines.append(("token", fields["problem"] or "none"))
    if withheld:
        lines.append(("note", withheld_hint(withheld, fields["server"])))
    if fields["shadowed_login"]:
        lines.append(("note", f"{fields['source']} takes precedence over the stored login"))
    if not has_token or fields["valid"] is False:
        lines.append(("next", f"subcli auth login --server {fields['server']}"))
    for name, text in lines:
        streams.write(f"{name:<8} {one_line(text)}\n")


_SOURCES = {"keyring": "the keyring", "file": "the plaintext credentials file"}
