"""The files that settings stand in: found, read and checked; a wrong key or type is named with file, line and key."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any, Final

from subcli.core.errors import UsageError
from subcli.shared.suggest import did_you_mean

PROJECT_FILE: Final = ".subcli.toml"
PROJECT_KEYS: Final = ("server", "api_path", "ws_url", "problem", "language", "files")
USER_KEYS: Final = PROJECT_KEYS[:-1]
_FILE_MAX: Final = 64 * 1024


def user_directory() -> Path | None:
    """Where the user's own files are; ``None`` where there is no home to have them."""
    from platformdirs import user_config_path

    try:
        return user_config_path("subcli")
    except (RuntimeError, OSError, KeyError):
        return None


def user_file() -> Path | None:
    """The user's own settings file."""
    directory = user_directory()
    return directory / "config.toml" if directory else None


def find_project_file(cwd: Path) -> Path | None:
    """The nearest ``.subcli.toml``, in ``cwd`` or above."""
    for directory in (cwd, *cwd.parents):
        # A directory that may not be searched has nothing for us.
        with contextlib.suppress(OSError):
            if (path := directory / PROJECT_FILE).is_file():
                return path
    return None


def is_file(path: Path | None) -> bool:
    """Whether there is such a file.

    Raises:
        UsageError: that cannot be told.
    """
    try:
        return path is not None and path.is_file()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint="Check its owner.") from None


def read_table(path: Path) -> dict[str, Any]:
    """What a settings file says.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """
    import tomllib

    try:
        with path.open("rb") as file:
            text = file.read(_FILE_MAX + 1)
        if len(text) > _FILE_MAX:
            raise UsageError(f"{path} is larger than {_FILE_MAX // 1024} KiB.", hint="Settings are a few lines.")
        return tomllib.loads(text.decode().replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{path} is no TOML: {error}.", hint='A setting is a line such as `problem = "lru-cache"`.'
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", hint="Check its owner and its encoding.") from None
    except (ValueError, RecursionError):
        # A number of thousands of digits, or lists in lists in lists.
        raise UsageError(f"{path} holds what no settings are.", hint=f"Known: {', '.join(PROJECT_KEYS)}.") from None


def checked(path: Path | None, table: Any, allowed: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
    """``table`` with only known keys of the right types.

    Args:
        path: its file, for messages.
        allowed: the keys.
        prefix: of the keys in messages, for a table within.

    Raises:
        UsageError: a wrong key or type, named with its line.
    """
    if not isinstance(table, dict):
        raise UsageError(
            f"{path}: {prefix.rstrip('.')} is not a table.", hint=f"Begin it with `[{prefix.rstrip('.')}]`."
        )
    for key, value in table.items():
        if key not in allowed:
            raise UsageError(
                f"{path}{_line(path, key)}: unknown key `{prefix}{key}`.",
                hint=f"{did_you_mean(key, allowed)} Known: {', '.join(allowed)}.".lstrip(),
            )
        if key == "files":
            if not (isinstance(value, list) and value and all(isinstance(entry, str) for entry in value)):
                raise UsageError(
                    f"{path}{_line(path, key)}: `files` is not a list of names.",
                    hint='Like this: `files = ["node.py"]`.',
                )
        elif not isinstance(value, str) or not value:
            raise UsageError(
                f"{path}{_line(path, key)}: `{prefix}{key}` is not a text.", hint=f'Like this: `{key} = "…"`.'
            )
    return dict(table)


def _line(path: Path | None, key: str) -> str:
    """``:N`` where the key stands in its file."""
    if path is None:
        return ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.split("=")[0].strip().strip("\"'") == key:
            return f":{number}"
    return ""


def add_profile(path: Path, name: str, server: str) -> None:
    """Append ``[profiles.NAME]`` to the user's file.

    Raises:
        UsageError: the name cannot be used, exists already, or the file cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise UsageError(f"{name!r} is no name for a profile.", hint="Letters, digits, `-` and `_`.")
    profiles = (read_table(path) if is_file(path) else {}).get("profiles", {})
    if not isinstance(profiles, dict):
        raise UsageError(f"{path}: profiles is not a table.", hint="A profile begins with `[profiles.NAME]`.")
    if name in profiles:
        raise UsageError(f"There is a profile {name!r} already.", hint=f"It stands in {path}.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n[profiles.{name}]\nserver = {json.dumps(server)}\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.", hint="Check its owner.") from None
