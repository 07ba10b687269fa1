"""The two files that hold settings: the project's ``.subcli.toml`` and the user's ``config.toml``."""

from __future__ import annotations

import contextlib
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from subcli.core.errors import UsageError
from subcli.shared.suggest import did_you_mean

if TYPE_CHECKING:
    from subcli.shared.toml import TomlError, TomlFile

T = TypeVar("T")

PROJECT_FILE: Final = ".subcli.toml"

Text: TypeAlias = Annotated[str, Meta(min_length=1, description="a string that is not empty", examples=['"..."'])]
FileNames: TypeAlias = Annotated[
    tuple[str, ...], Meta(min_length=1, description="a list of file names", examples=['["node.py"]'])
]
Profiles: TypeAlias = Annotated[dict[str, Any], Meta(description="a table; begin each profile with `[profiles.NAME]`")]


class Layer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings from one source: the flags, the variables, a file or a profile. ``None``: not set."""

    server: Text | None = None
    api_path: Text | None = None
    ws_url: Text | None = None
    problem: Text | None = None
    language: Text | None = None


class ProjectSettings(Layer, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a ``.subcli.toml``.

    Attributes:
        files: relative to its directory.
        test: what `subcli test` judges with; the judge checks it.
    """

    files: FileNames | None = None
    test: Annotated[dict[str, Any] | None, Meta(description="a table")] = None


class UserSettings(Layer, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of the user's file. A profile is checked when it is chosen."""

    profiles: Profiles = {}


class UserFile:
    """The user's settings file.

    Args:
        path: the file; ``None`` or a file that does not exist has no settings.

    Raises:
        UsageError: the file cannot be read, or says something that is not a setting.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = _read(path) if path is not None and _exists(path) else None
        self.settings = _convert(self._file, UserSettings) if self._file else UserSettings()

    def profile(self, name: str) -> Layer:
        """The settings of ``[profiles.NAME]``.

        Raises:
            UsageError: there is no such profile, or it says something that is not a setting.
        """
        names = sorted(self.settings.profiles)
        if self._file is None or name not in names:
            hint = f"{did_you_mean(name, names)} Profiles in {self._path}: {', '.join(names) or 'none'}.".lstrip()
            raise UsageError(f"There is no profile {name!r}.", hint=hint)
        return _convert(self._file, Layer, ("profiles", name))

    def servers(self) -> list[str]:
        """Every server that the file names, as it is written there."""
        profiles = [profile for profile in self.settings.profiles.values() if isinstance(profile, dict)]
        return [str(server) for server in (self.settings.server, *(p.get("server") for p in profiles)) if server]


def user_directory() -> Path | None:
    """The directory of the user's own files, or ``None`` if there is no home directory."""
    from platformdirs import user_config_path

    try:
        return user_config_path("subcli")
    except (RuntimeError, OSError, KeyError):
        return None


def user_file() -> Path | None:
    """The path of the user's settings file, or ``None`` if there is no home directory."""
    directory = user_directory()
    return directory / "config.toml" if directory else None


def find_project_file(cwd: Path) -> Path | None:
    """The nearest ``.subcli.toml`` in ``cwd`` or a directory above it."""
    for directory in (cwd, *cwd.parents):
        # A directory that cannot be searched is skipped.
        with contextlib.suppress(OSError):
            if (path := directory / PROJECT_FILE).is_file():
                return path
    return None


def read_project_file(path: Path) -> ProjectSettings:
    """Read a project file.

    Raises:
        UsageError: the file cannot be read, or says something that is not a setting or not allowed there.
    """
    file = _read(path)
    if "ws_url" in file.content:
        error = file.error(("ws_url",), "is not allowed in a project file")
        _fail(error, "Set SUBCLI_WS_URL, or put it into your own settings file.")
    return _convert(file, ProjectSettings)


def add_profile(path: Path, name: str, server: str) -> None:
    """Append ``[profiles.NAME]`` to the user's file, and leave the rest of it as it is.

    Args:
        path: the user's file; created with its directory if it does not exist.
        name: the name of the profile.
        server: its ``server``.

    Raises:
        UsageError: the name is not valid or taken, or the file cannot be written.
    """
    import json

    from subcli.shared.files import write_atomically
    from subcli.shared.toml import TomlError, TomlFile

    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise UsageError(f"{name!r} is not a valid profile name.", hint="Use letters, digits, `-` and `_`.")
    if name in UserFile(path).settings.profiles:
        raise UsageError(f"There is already a profile {name!r}.", hint=f"It is in {path}.")
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
        # A JSON string is a TOML string as well (TOML 1.0, "String").
        text += f"\n[profiles.{name}]\nserver = {json.dumps(server)}\n"
        # The file may declare its profiles in a way that cannot be appended to, such as `profiles = {}`.
        TomlFile(path, text)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except TomlError:
        raise UsageError(
            f"A profile cannot be appended to {path}.", hint="Write each profile as `[profiles.NAME]`."
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.", hint="Check its owner.") from None


def _exists(path: Path) -> bool:
    # Do not ignore settings that the user meant: another server would be used. Path.is_file() ignores errors, and more
    # of them from one Python to the next.
    reason = ""
    try:
        mode = path.stat().st_mode
        reason = "it is a directory" if stat.S_ISDIR(mode) else ""
    except (FileNotFoundError, NotADirectoryError):
        if not path.is_symlink():
            return False
        reason = "it is a link to nothing"
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint="Check its owner.") from None
    if reason:
        raise UsageError(f"{path} cannot be read: {reason}.", hint="Fix or remove it.")
    return stat.S_ISREG(mode)


def _read(path: Path) -> TomlFile:
    from subcli.shared.toml import TomlError, TomlFile

    try:
        return TomlFile.read(path)
    except TomlError as error:
        _fail(error, 'A setting is a line such as `problem = "lru-cache"`.')


def _convert(file: TomlFile, expected: type[T], keys: tuple[str, ...] = ()) -> T:
    from subcli.shared.toml import TomlError

    try:
        return file.convert(expected, keys)
    except TomlError as error:
        _fail(error)


def _fail(error: TomlError, hint: str = "") -> NoReturn:
    raise UsageError(f"{error}.", hint=error.hint or hint) from None
