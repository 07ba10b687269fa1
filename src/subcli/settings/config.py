"""Resolves settings: flag > ``SUBCLI_*`` variable > ``.subcli.toml`` here or above > user file > default.

A project file comes with code from strangers (contract, section 2): a ``server`` in it is used only if the user has
named that server too or logged in to it, it never sets ``ws_url``, and a token from a variable is sent only to a
server that a flag, a variable or the user file names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import msgspec

from subcli.core.errors import UsageError
from subcli.settings.addresses import checked_api_path, checked_ws_url, derived_ws_url, server_url, with_scheme
from subcli.settings.files import Layer, ProjectSettings, UserFile, find_project_file, read_project_file
from subcli.settings.proxies import ProxySettings, read_proxies
from subcli.settings.token import token_from
from subcli.shared.secret import Secret
from subcli.shared.urls import is_loopback, same_origin

DEFAULT_SERVER: Final = "http://127.0.0.1:8000"
DEFAULT_API_PATH: Final = "/api"

Origin: TypeAlias = Literal["flag", "pasted URL", "variable", "project file", "user file", "default"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one command, from flags, variables and files.

    Attributes:
        server: its URL, without a trailing slash.
        server_origin: where ``server`` came from.
        ws_url: the URL of its WebSocket half, up to but not including ``/submissions``.
        files: the files to submit, as the project file names them, relative to ``project_dir``.
        project_dir: the directory of the project file, if there is one.
        at_home: the problem whose tests the project file describes, for `subcli test`.
        token: the token that a variable gives for this server.
        token_origin: the name of that variable, for messages.
        token_withheld: the name of the variable whose token is not sent, because it is not for this server.
        insecure_http: whether credentials may be sent over plain http to another machine.
        proxies: the proxies of the environment, for REST and for the WebSocket alike.
    """

    server: str = DEFAULT_SERVER
    server_origin: Origin = "default"
    api_path: str = DEFAULT_API_PATH
    ws_url: str = ""
    problem: str | None = None
    language: str | None = None
    files: tuple[str, ...] = ()
    project_dir: Path | None = None
    at_home: str | None = None
    token: Secret | None = None
    token_origin: str = ""
    token_withheld: str = ""
    insecure_http: bool = False
    proxies: ProxySettings = ProxySettings()

    def require_safe_for_secrets(self) -> None:
        """Check that credentials can be sent.

        Raises:
            UsageError: they would be sent over plain http to another machine.
        """
        for url in (self.server, self.ws_url):
            parts = urlsplit(url)
            if parts.scheme not in ("https", "wss") and not is_loopback(parts.hostname) and not self.insecure_http:
                raise UsageError(
                    f"{url} is on another machine and not encrypted: others could read your credentials on the way.",
                    hint="Use an https address, or `--insecure-http` if you must.",
                )

    @property
    def api_url(self) -> str:
        """The base of every REST URL."""
        return self.server + self.api_path

    def page_url(self, submission_id: int) -> str:
        """The page of a submission, unless the server names another."""
        return f"{self.server}/submissions/{submission_id}"


class _Server(NamedTuple):
    """The chosen server. ``named_by_user``: whether the token of a variable is for it."""

    url: str
    origin: Origin
    named_by_user: bool


_Layers: TypeAlias = Mapping[Origin, Layer]
"""The settings of each source, the strongest first."""


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
        flags: the flags that were given, by the key that they set.
        env: the environment.
        cwd: the directory where the search for ``.subcli.toml`` begins.
        user_file: the user's file; it need not exist.
        profile: the ``[profiles.NAME]`` of the user file that overrides its top level.
        insecure_http: whether credentials may be sent over plain ``http`` to another machine.
        known_servers: the servers that the user logged in to.
        pasted_server: the server of a submission URL on the command line, which may be a stranger's link.

    Raises:
        UsageError: a file cannot be read, a key or value is not valid, or a setting is not allowed.
    """
    user = UserFile(user_file)
    project_path = find_project_file(cwd)
    project = read_project_file(project_path) if project_path else ProjectSettings()
    layers: dict[Origin, Layer] = {
        "flag": _layer(flags),
        "pasted URL": Layer(server=pasted_server or None),
        "variable": _layer({key: _variable(env, key) for key in Layer.__struct_fields__}),
        "project file": project,
        "user file": _user_layer(user, profile or _variable(env, "profile")),
    }
    server = _choose_server(layers, user, project_path, known_servers)
    found = _merge(_without_other_servers(layer, server.url) for layer in layers.values())
    token, variable = token_from(env)
    settings = Settings(
        server=server.url,
        server_origin=server.origin,
        api_path=checked_api_path(found.api_path or DEFAULT_API_PATH),
        ws_url=checked_ws_url(found.ws_url or derived_ws_url(server.url)),
        problem=found.problem,
        language=found.language,
        files=project.files or (),
        project_dir=project_path.parent if project_path else None,
        at_home=project.problem if project.test else None,
        token=token if server.named_by_user else None,
        token_origin=variable if server.named_by_user else "",
        token_withheld="" if server.named_by_user else variable,
        insecure_http=insecure_http or env.get("SUBCLI_INSECURE_HTTP", "") not in ("", "0"),
        proxies=read_proxies(env),
    )
    if settings.token:
        settings.require_safe_for_secrets()
    return settings


def _layer(values: Mapping[str, str | None]) -> Layer:
    return Layer(**{key: values.get(key) or None for key in Layer.__struct_fields__})


def _variable(env: Mapping[str, str], key: str) -> str | None:
    """The variable for a setting; ``None`` if it is empty or not set.

    Raises:
        UsageError: it has bytes that are not text, so it cannot be sent or stored.
    """
    name = f"SUBCLI_{key.upper()}"
    value = env.get(name) or None
    if value is not None and any("\ud800" <= char <= "\udfff" for char in value):
        raise UsageError(f"{name} is not valid text: {value!r}.", hint="It has bytes that are not UTF-8.")
    return value


def _user_layer(user: UserFile, profile: str | None) -> Layer:
    """The user file's top level, overridden by the profile."""
    if profile is None:
        return user.settings
    chosen = user.profile(profile)
    top: Layer = user.settings
    if chosen.server:
        # The addresses belong to the top level's server, not to this one, whose token must not go there.
        top = _without_other_servers(top, server_url(chosen.server), implied_server=DEFAULT_SERVER)
    return _merge((chosen, top))


def _merge(layers: Iterable[Layer]) -> Layer:
    """Each setting from the first layer that has it."""
    merged: dict[str, str | None] = {}
    for layer in layers:
        for key in Layer.__struct_fields__:
            merged[key] = merged.get(key) or getattr(layer, key)
    return Layer(**merged)


def _without_other_servers(layer: Layer, server: str, *, implied_server: str | None = None) -> Layer:
    """``layer`` without its paths and addresses, if they are those of another server than ``server``.

    Args:
        layer: what one source says.
        server: the URL of the server chosen.
        implied_server: the server that ``layer`` is about if it names none; by default the one chosen.
    """
    named = layer.server or implied_server
    if named is None or same_origin(with_scheme(named), server):
        return layer
    return Layer(server=layer.server, problem=layer.problem, language=layer.language)


def _choose_server(layers: _Layers, user: UserFile, project_path: Path | None, known_servers: Iterable[str]) -> _Server:
    """The server that the strongest source names, if it may be used.

    Raises:
        UsageError: it is not a valid address, or a project file names a server that the user never used.
    """
    origin: Origin
    origin, named = next(((name, layer.server) for name, layer in layers.items() if layer.server), ("default", None))
    url = server_url(named or DEFAULT_SERVER)
    if origin == "pasted URL":
        others = (layers["variable"].server, layers["user file"].server)
        return _Server(url, origin, any(same_origin(url, server_url(other)) for other in others if other))
    if origin != "project file":
        return _Server(url, origin, origin != "default")
    if any(same_origin(url, with_scheme(known)) for known in user.servers()):
        return _Server(url, "user file", True)
    if any(same_origin(url, known) for known in known_servers):
        return _Server(url, origin, False)
    raise UsageError(
        f"{project_path} names the server {url}, which you have not used before.",
        hint=f"If you trust it, pass `--server {url}`, or add it to your own settings.",
    )
