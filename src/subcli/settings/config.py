"""Settings: flag > ``SUBCLI_*`` variable > ``.subcli.toml`` here or above > user file > default.

A project file comes with code from strangers (contract, section 2): a ``server`` in it counts only where the
user named that server as well, it never sets ``ws_url``, and a token from a variable goes only to a server
named by flag, variable or user file.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec

from subcli.core.errors import UsageError
from subcli.settings.files import PROJECT_KEYS, USER_KEYS, checked, find_project_file, is_file, read_table
from subcli.shared.secret import Secret, is_token, redact
from subcli.shared.suggest import did_you_mean
from subcli.shared.urls import is_loopback, is_plain, same_origin

DEFAULT_SERVER: Final = "http://127.0.0.1:8000"
DEFAULT_API_PATH: Final = "/api"
_OF_A_SERVER: Final = ("api_path", "ws_url")
_TOKEN_FILE_MAX: Final = 64 * 1024

Origin: TypeAlias = Literal["flag", "pasted URL", "variable", "project file", "user file", "default"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that flags, variables and files decide.

    Attributes:
        server: URL without a slash at the end.
        server_origin: where ``server`` came from.
        ws_url: URL of the WebSocket half, up to and without ``/submissions``.
        files: of a submission, as the project file names them, relative to ``project_dir``.
        project_dir: where the project file lies.
        token: to send; ``None`` where there is none.
        token_origin: its variable or file, for messages.
        token_withheld: the variable or file of a token that is there and not for this server.
        insecure_http: credentials may go over plain http to another machine.
    """

    server: str = DEFAULT_SERVER
    server_origin: Origin = "default"
    api_path: str = DEFAULT_API_PATH
    ws_url: str = ""
    problem: str | None = None
    language: str | None = None
    files: tuple[str, ...] = ()
    project_dir: Path | None = None
    token: Secret | None = None
    token_origin: str = ""
    token_withheld: str = ""
    insecure_http: bool = False

    def require_safe_for_secrets(self) -> None:
        """
        Raises:
            UsageError: credentials would go over plain http to another machine.
        """
        for url in (self.server, self.ws_url):
            parts = urlsplit(url)
            if parts.scheme not in ("https", "wss") and not is_loopback(parts.hostname) and not self.insecure_http:
                raise UsageError(
                    f"{url} is not encrypted, on another machine: credentials would be readable on the way.",
                    hint="Use an https address, or `--insecure-http` if you must.",
                )

    @property
    def api_url(self) -> str:
        """Base of every REST call."""
        return self.server + self.api_path

    def page_url(self, submission_id: int) -> str:
        """The page of a submission, where the server did not name it."""
        return f"{self.server}/submissions/{submission_id}"


def load(
    flags: Mapping[str, str | None],
    env: Mapping[str, str],
    cwd: Path,
    user_file: Path | None,
    *,
    profile: str | None = None,
    insecure_http: bool = False,
    known_servers: Iterable[str] = (),
    pasted_server: str | None = None,
) -> Settings:
    """Resolve the settings of one command.

    Args:
        flags: those given, by the key that they set.
        env: the environment.
        cwd: where to look for ``.subcli.toml``, and above.
        user_file: the user's file; it need not exist.
        profile: which ``[profiles.NAME]`` of the user file counts over its top level.
        insecure_http: credentials may go over plain ``http`` to another machine.
        known_servers: those that the user logged in to.
        pasted_server: of a submission's URL on the command line, which may be a stranger's link.

    Raises:
        UsageError: a file that cannot be read, a wrong key or type, or a setting that is not allowed.
    """
    user = _user_settings(user_file, profile or env.get("SUBCLI_PROFILE") or None)
    project_path = find_project_file(cwd)
    project = _project_settings(project_path) if project_path else {}
    variables = {key: env[f"SUBCLI_{key.upper()}"] for key in USER_KEYS if env.get(f"SUBCLI_{key.upper()}")}
    given = {key: value for key, value in flags.items() if value}
    layers: tuple[tuple[Origin, Mapping[str, Any]], ...] = (
        ("flag", given),
        ("pasted URL", {"server": pasted_server} if pasted_server else {}),
        ("variable", variables),
        ("project file", project),
        ("user file", user),
    )
    origin: Origin = next((name for name, layer in layers if "server" in layer), "default")
    server = _server_url(str(next((layer["server"] for _, layer in layers if "server" in layer), DEFAULT_SERVER)))
    found = {key: value for _, layer in reversed(layers) for key, value in _fitting(layer, server).items()}
    token, token_origin = _token(env)
    # Whether the token of a variable is for this server. A login on record for it is used in any case.
    is_named = origin in ("flag", "variable", "user file")
    if origin == "pasted URL":
        named = [str(layer["server"]) for layer in (variables, user) if "server" in layer]
        is_named = any(same_origin(server, _server_url(known)) for known in named)
    if origin == "project file":
        if any(same_origin(server, known) for known in _servers_named_by_user(user_file)):
            origin, is_named = "user file", True
        elif not any(same_origin(server, known) for known in known_servers):
            raise UsageError(
                f"{project_path} names the server {server}, which you have not used before.",
                hint=f"If you trust it, say so: `--server {server}`, or put it into your own settings.",
            )
    settings = Settings(
        server=server,
        server_origin=origin,
        api_path=_api_path(str(found.get("api_path", DEFAULT_API_PATH))),
        ws_url=_checked_ws_url(str(found.get("ws_url") or _ws_url(server))),
        problem=found.get("problem"),
        language=found.get("language"),
        files=tuple(project.get("files", ())),
        project_dir=project_path.parent if project_path else None,
        token=token if is_named else None,
        token_origin=token_origin if is_named else "",
        token_withheld="" if is_named else token_origin,
        insecure_http=insecure_http or env.get("SUBCLI_INSECURE_HTTP", "") not in ("", "0"),
    )
    if settings.token:
        settings.require_safe_for_secrets()
    return settings


def _token(env: Mapping[str, str]) -> tuple[Secret | None, str]:
    """``SUBCLI_TOKEN``, else the content of ``SUBCLI_TOKEN_FILE``; an empty one is none."""
    name, value = "SUBCLI_TOKEN", env.get("SUBCLI_TOKEN", "").strip()
    if not value and (path := env.get("SUBCLI_TOKEN_FILE", "")):
        name = "SUBCLI_TOKEN_FILE"
        try:
            value = _token_file(path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not a text"
            raise UsageError(f"SUBCLI_TOKEN_FILE cannot be read: {why}.", hint=f"It names {path!r}.") from None
    if not value:
        return None, ""
    if not is_token(value):
        # Not shown: it may be a token with something behind it.
        raise UsageError(
            f"What {name} holds is no token: it has spaces, line ends or letters that no token has.",
            hint="It is sent in a header; give the bare token.",
        )
    return Secret(value), name


_read_once: dict[str, str] = {}


def _token_file(path: str) -> str:
    """Its content; that of a pipe (``<(pass show judge)``) is kept, since it can be read only once."""
    if path not in _read_once:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(_TOKEN_FILE_MAX).strip()
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return text
        _read_once[path] = text
    return _read_once[path]


def secrets_in(env: Mapping[str, str]) -> tuple[Secret, ...]:
    """The secrets that the environment holds, to be taken out of whatever is logged: token and proxy passwords.

    Very short ones are left out: to mask them would make any text unreadable.
    """
    values = [env.get("SUBCLI_TOKEN", "").strip()]
    if path := env.get("SUBCLI_TOKEN_FILE", ""):
        with contextlib.suppress(OSError, ValueError):
            values.append(_token_file(path))
    for name, value in env.items():
        if name.lower().endswith("_proxy") and "@" in value:
            user, _, password = value.rpartition("@")[0].rpartition("/")[2].partition(":")
            values += [user, password, unquote(user), unquote(password)]
    return tuple(Secret(value) for value in values if len(value) > 4)


def _fitting(layer: Mapping[str, Any], server: str) -> Mapping[str, Any]:
    """``layer`` without what it says of another server than the one chosen."""
    named = str(layer.get("server", server))
    if same_origin(named if "://" in named else f"http://{named}", server):
        return layer
    return {key: value for key, value in layer.items() if key not in _OF_A_SERVER}


def _api_path(text: str) -> str:
    path = text.strip("/")
    if not is_plain(path) or "?" in path or "#" in path:
        raise UsageError(f"`api_path` {text!r} is no path.", hint='Like this: `api_path = "/api"`.')
    return f"/{path}" if path else ""


def _server_url(text: str) -> str:
    scheme, found, rest = text.partition("://")
    url = f"{scheme.lower()}://{rest}" if found else f"http://{text}"
    try:
        parts = urlsplit(url)
        usable = (
            is_plain(url)
            and parts.scheme in ("http", "https")
            and parts.hostname
            and (parts.port is None or parts.port > 0)
            and _is_a_host(parts.hostname)
        )
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            f"{redact(text)!r} is no address of a server.", hint="Like this: `--server https://judge.example`."
        )
    if parts.username or parts.password:
        raise UsageError("The server's address holds a user name or password.", hint="Log in instead of that.")
    if parts.query or parts.fragment:
        raise UsageError(f"The server's address {text!r} has a part after `?` or `#`.", hint="Leave it out.")
    return url.rstrip("/")


def _is_a_host(name: str) -> bool:
    """Whether the libraries can ask for it: they raise what they like for a name that is no IDNA."""
    if name.isascii() and "xn--" not in name:
        return True
    import idna

    try:
        return bool(idna.encode(name))
    except UnicodeError:
        return False


def _ws_url(server: str) -> str:
    return f"ws{server.removeprefix('http')}/ws"


def _checked_ws_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = (
            is_plain(url)
            and parts.scheme in ("ws", "wss")
            and parts.hostname
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            f"{redact(url)!r} is no address for WebSockets.", hint='Like this: `ws_url = "wss://judge.example/ws"`.'
        )
    return url.rstrip("/")


def _project_settings(path: Path) -> dict[str, Any]:
    table = read_table(path)
    if "ws_url" in table:
        raise UsageError(
            f"{path}: `ws_url` is not allowed in a project file.",
            hint="Set SUBCLI_WS_URL, or put it into your own.",
        )
    return checked(path, table, PROJECT_KEYS)


def _user_settings(path: Path | None, profile: str | None) -> dict[str, Any]:
    table = read_table(path) if path and is_file(path) else {}
    profiles = table.pop("profiles", {})
    settings = checked(path, table, USER_KEYS)
    if profile is None:
        return settings
    if not isinstance(profiles, dict) or profile not in profiles:
        names = sorted(profiles) if isinstance(profiles, dict) else []
        hint = f"{did_you_mean(profile, names)} Profiles in {path}: {', '.join(names) or 'none'}.".lstrip()
        raise UsageError(f"There is no profile {profile!r}.", hint=hint)
    chosen = checked(path, profiles[profile], USER_KEYS, f"profiles.{profile}.")
    if "server" in chosen:
        # Where the top level's server listens says nothing of this one, and its token must not go there.
        settings = dict(_fitting({"server": DEFAULT_SERVER, **settings}, _server_url(chosen["server"])))
    return {**settings, **chosen}


def _servers_named_by_user(path: Path | None) -> list[str]:
    table = read_table(path) if path and is_file(path) else {}
    profiles = table.get("profiles")
    entries = profiles.values() if isinstance(profiles, dict) else ()
    tables = [table, *(entry for entry in entries if isinstance(entry, dict))]
    servers = [str(entry["server"]) for entry in tables if "server" in entry]
    return [server if "://" in server else f"http://{server}" for server in servers]
