"""Reading a TOML table with types, bounds and complaints that name the file and the key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import overload


class ProblemError(ValueError):
    """A problem's directory cannot be used. Carries `path`, the file at fault, and `complaint`."""

    def __init__(self, path: Path, complaint: str) -> None:
        super().__init__(path, complaint)
        self.path = path
        self.complaint = complaint

    def __str__(self) -> str:
        return f"{self.path}: {self.complaint}"


class Table:
    """One table of a file. Each reading method takes a key off it; `finish` complains of what is left."""

    def __init__(self, path: Path, values: Mapping[str, object], prefix: str = "") -> None:
        self._path = path
        self._values = dict(values)
        self._prefix = prefix

    def error(self, key: str, complaint: str) -> ProblemError:
        return ProblemError(self._path, f"{self._prefix}{key}: {complaint}")

    def finish(self) -> None:
        """Raises ProblemError where a key was never asked for: most often a misspelling."""
        for key in self._values:
            raise self.error(key, "unknown key")

    def text(self, key: str, default: str | None = None) -> str:
        value = self._values.pop(key, default)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "must be a text that is not empty")
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in allowed:
            raise self.error(key, f"must be one of {', '.join(allowed)}, not {value!r}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._values.pop(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    @overload
    def integer(self, key: str, default: int = ..., *, minimum: int) -> int: ...
    @overload
    def integer(self, key: str, default: None, *, minimum: int) -> int | None: ...
    def integer(self, key: str, default: int | None = -1, *, minimum: int) -> int | None:
        value = self._values.pop(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise self.error(key, f"must be an integer, at least {minimum}")
        return value

    def seconds(self, key: str, default: float) -> float:
        value = self._values.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 86_400:
            raise self.error(key, "must be a number of seconds, more than 0 and less than a day")
        return float(value)

    def words(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        value = self._values.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
            raise self.error(key, "must be a list of texts, one for each word")
        if required and not value:
            raise self.error(key, "is missing")
        return tuple(value)

    def file_name(self, key: str) -> str:
        """A relative path that stays inside the directory it is put into."""
        value = self.text(key)
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            raise self.error(key, "must be a path inside the submission")
        return value

    @overload
    def file(self, key: str, default: str) -> Path: ...
    @overload
    def file(self, key: str, default: None, *, required: bool) -> Path: ...
    @overload
    def file(self, key: str, default: None) -> Path | None: ...
    def file(self, key: str, default: str | None, *, required: bool = False) -> Path | None:
        """A file that exists, beside `problem.toml` or below."""
        if key not in self._values and default is None and not required:
            return None
        if default is not None:
            self._values.setdefault(key, default)
        return self._existing(key, self.file_name(key))

    def files(self, key: str) -> tuple[Path, ...]:
        return tuple(self._existing(key, name) for name in self.words(key))

    def _existing(self, key: str, name: str) -> Path:
        path = self._path.parent / name
        if not path.is_file():
            raise self.error(key, f"there is no file {name!r}")
        return path

    def directory(self, key: str, default: str) -> str:
        """A directory that exists, beside `problem.toml` or below; relative to it."""
        self._values.setdefault(key, default)
        name = self.file_name(key)
        if not (self._path.parent / name).is_dir():
            raise self.error(key, f"there is no directory {name!r}")
        return name

    def table(self, key: str) -> Table:
        value = self._values.pop(key, {})
        if not isinstance(value, dict):
            raise self.error(key, "must be a table")
        return Table(self._path, value, f"{self._prefix}{key}.")

    def named_tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """The tables in the table of this key, each with its name."""
        outer = self.table(key)
        for name in list(outer._values):
            yield name, outer.table(name)

    def tables(self, key: str) -> list[Table]:
        value = self._values.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.error(key, f"must be written as [[{key}]]")
        return [Table(self._path, entry, f"{self._prefix}{key}[{number}].") for number, entry in enumerate(value)]
