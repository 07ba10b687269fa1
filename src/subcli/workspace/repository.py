"""A git repository, as far as it says which files to ignore, read without running git.

Where its parts lie is in gitrepository-layout(5): in a linked working tree and in a submodule, ``.git`` is a file that
names the directory. What the configuration looks like is in git-config(1).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from subcli.core.errors import UsageError

_MAX_BYTES: Final = 1024 * 1024
_MAX_INCLUDES: Final = 10
"""How deeply files of the configuration may include each other; git has the same limit."""
_TRUE: Final = ("true", "yes", "on", "1")
_BLANK: Final = re.compile(r"(?:\s|[#;][^\n]*(?:\n|\Z))*")
_SECTION: Final = re.compile(r'\[[ \t]*([A-Za-z0-9.-]+)[ \t]*(?:"((?:[^"\\\n]|\\[^\n])*)")?[ \t]*\]')
_KEY: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*")
_VALUE: Final = re.compile(r'=((?:"(?:[^"\\\n]|\\["\\ntb\n])*"|\\["\\ntb\n]|[^"\\\n;#])*)')
_WORD: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|(\\.)|([ \t]+)|([^"\\ \t]+)', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_MEANINGS: Final = {"n": "\n", "t": "\t", "b": "\b", "\n": ""}


@dataclass(frozen=True)
class Repository:
    """A repository.

    Attributes:
        root: of the working tree.
        own: the directory of this working tree, usually ``.git`` in it.
        common: the directory that linked working trees share; usually the same.
    """

    root: Path
    own: Path
    common: Path

    @classmethod
    def at(cls, root: Path) -> Repository | None:
        """The repository whose working tree begins at ``root``; ``None`` if there is none that can be read."""
        own = root / ".git"
        if not own.is_dir():
            named = _line(own, "gitdir: ")
            if named is None:
                return None
            own = root / named
        common = _line(own / "commondir", "")
        return cls(root, own, own if common is None else own / common)

    def exclude_files(self) -> tuple[Path, ...]:
        """The files of patterns besides ``.gitignore``: those of the repository, and those of the user.

        Raises:
            UsageError: the configuration cannot be understood. What it would exclude, perhaps secrets, must not be
                submitted.
        """
        named = self._configured("core.excludesfile")
        users = _config_home() / "ignore" if named is None else _expanded(named, self.root)
        return self.common / "info" / "exclude", *(() if named == "" else (users,))

    def _configured(self, key: str) -> str | None:
        """The value of a key, of which the last one counts."""
        found: dict[str, str] = {}
        is_alone = os.environ.get("GIT_CONFIG_NOSYSTEM", "").lower() in _TRUE
        system = Path(os.environ.get("GIT_CONFIG_SYSTEM") or "/etc/gitconfig")
        users = [_config_home() / "config", Path(os.path.expanduser("~/.gitconfig"))]
        if chosen := os.environ.get("GIT_CONFIG_GLOBAL"):
            users = [Path(chosen)]
        for path in (*([system] if not is_alone else ()), *users, self.common / "config"):
            self._read(path, found, 0)
        if found.get("extensions.worktreeconfig", "").lower() in _TRUE:
            self._read(self.own / "config.worktree", found, 0)
        return found.get(key)

    def _read(self, path: Path, found: dict[str, str], depth: int) -> None:
        """Add the settings of one file, and of those that it includes, to ``found``."""
        text = _text(path)
        for section, key, value in _settings(text, path) if text and depth <= _MAX_INCLUDES else ():
            if key == "path" and (section == "include" or self._is_met(section, path)):
                self._read(_expanded(value, path.parent), found, depth + 1)
            found[f"{section}.{key}"] = value

    def _is_met(self, section: str, path: Path) -> bool:
        """Whether it is an ``includeIf`` that applies. What asks for a branch or a remote is not looked at."""
        kind, _, pattern = section.partition(":")
        if kind not in ("includeif.gitdir", "includeif.gitdir/i"):
            return False
        from pathspec import GitIgnoreSpec

        if pattern.startswith("./"):
            pattern = f"{path.parent.resolve()}{pattern[1:]}"
        pattern = os.path.expanduser(pattern)
        pattern = pattern if pattern.startswith("/") else f"**/{pattern}"
        pattern += "**" if pattern.endswith("/") else ""
        names = [str(self.own), str(self.own.resolve())]
        if kind.endswith("/i"):
            pattern, names = pattern.lower(), [name.lower() for name in names]
        return any(GitIgnoreSpec.from_lines([pattern]).match_file(name.lstrip("/")) for name in names)


def _settings(text: str, path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield section, key and value of each setting; section and key in small letters, but not a subsection.

    Raises:
        UsageError: git would not understand it either.
    """
    section = ""
    at = 0

    def take(pattern: re.Pattern[str]) -> re.Match[str] | None:
        nonlocal at
        if match := pattern.match(text, at):
            at = match.end()
        return match

    while True:
        take(_BLANK)
        if at == len(text):
            return
        if match := take(_SECTION):
            inner = "" if match[2] is None else f".{_ESCAPE.sub(lambda escape: escape[1], match[2])}"
            section = match[1].lower() + inner
            continue
        key = take(_KEY)
        # A key without a value is true.
        value = take(_VALUE) if key else None
        if key is None or not section or not (at == len(text) or text[at] in "\n#;"):
            line = text.count("\n", 0, at) + 1
            raise UsageError(f"{path}:{line} is not valid, and git does not read it either.", hint="Correct it.")
        yield section, key[1].lower(), "true" if value is None else _unquoted(value[1])


def _unquoted(value: str) -> str:
    """A value without its quotes, escapes, and white space at both ends that is not quoted."""
    parts: list[str] = []
    blank = ""
    for quoted, escape, space, plain in _WORD.findall(value):
        if space:
            blank += space if parts else ""
            continue
        parts += [blank, _ESCAPE.sub(_meaning, quoted or escape or plain)]
        blank = ""
    return "".join(parts)


def _meaning(escape: re.Match[str]) -> str:
    return _MEANINGS.get(escape[1], escape[1])


def _text(path: Path) -> str:
    """The text of a file; empty if it is not there, or not for us."""
    try:
        # Not Path.is_file(), which ignores errors, and more of them from one Python to the next.
        if not stat.S_ISREG(path.stat().st_mode):
            return ""
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.", hint="Check it.") from None
    if len(data) > _MAX_BYTES:
        raise UsageError(f"{path} is larger than {_MAX_BYTES // 1024} KiB.", hint="Shorten it.")
    return data.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")


def _line(path: Path, beginning: str) -> Path | None:
    """The path in a file of one line."""
    line = _text(path).rstrip("\n")
    return Path(line.removeprefix(beginning)) if line.startswith(beginning) and len(line) > len(beginning) else None


def _expanded(value: str, base: Path) -> Path:
    return base / os.path.expanduser(value.removeprefix(":(optional)"))


def _config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "git")
