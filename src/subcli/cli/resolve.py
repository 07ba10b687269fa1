"""The settings of one command line, from flags, variables, files and logins. TAB needs it too: no typer here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from subcli.settings.config import Settings


def resolve_settings(
    env: Mapping[str, str],
    cwd: Path | None,
    flags: Mapping[str, str | None],
    *,
    profile: str | None = None,
    insecure_http: bool = False,
    pasted_server: str | None = None,
) -> Settings:
    """Resolve the settings (:func:`subcli.settings.config.load`).

    Args:
        cwd: the working directory; ``None`` if it no longer exists.
        flags: those given, by the key that they set.

    Raises:
        UsageError: A file or setting cannot be used.
    """
    from subcli.settings.config import load
    from subcli.settings.files import user_file

    if cwd is None:
        raise UsageError("The current directory no longer exists.", hint="Change to another directory.")
    return load(
        flags,
        env,
        cwd,
        user_file(),
        profile=profile,
        insecure_http=insecure_http,
        known_servers=_servers_with_a_login(),
        pasted_server=pasted_server,
    )


def _servers_with_a_login() -> Iterator[str]:
    """Reads the records lazily: only a server from a project file is looked up."""
    from subcli.client.records import Credentials
    from subcli.settings.files import user_directory

    yield from Credentials(user_directory()).logins()
