"""A mapping of a YAML file, read key by key; what is wrong names the file, the line and the key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from subcli.judge.constants import filled
from subcli.judge.problem import ProblemError
from subcli.judge.safe_yaml import Keys, UnreadableYaml, load_yaml_with_lines
from subcli.shared.suggest import closest

MAX_BYTES: Final = 256 * 1024
T = TypeVar("T", bound=str)


class YamlTable:
    """One mapping. A key without a value counts as absent.

    Attributes:
        path: the file, for messages.
    """

    def __init__(
        self,
        path: Path,
        values: dict[str, object],
        lines: dict[Keys, int],
        repeated: dict[Keys, int],
        place: Keys = (),
    ) -> None:
        self.path = path
        self._values = {key: value for key, value in values.items() if value is not None}
        self._lines = lines
        self._repeated = repeated
        self._place = place

    @classmethod
    def read(cls, path: Path, constants: Mapping[str, str] = MappingProxyType({})) -> YamlTable:
        """The mapping in the file `path`, with `constants` filled in; an empty file is an empty mapping.

        Raises:
            ProblemError: it cannot be read, or is not a mapping.
        """
        text = filled(read_text(path, MAX_BYTES), constants)
        try:
            repeated: dict[Keys, int] = {}
            values, lines = load_yaml_with_lines(text, MAX_BYTES, repeated)
        except UnreadableYaml as error:
            raise ProblemError(path, error.complaint, error.line) from None
        if values is None:
            values = {}
        if not isinstance(values, dict):
            raise ProblemError(path, "must be a mapping of keys to values", lines.get(()))
        return cls(path, values, lines, repeated)

    @classmethod
    def empty(cls, path: Path) -> YamlTable:
        """What a file that does not exist says."""
        return cls(path, {}, {}, {})

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it has."""
        return tuple(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def error(self, key: str, complaint: str) -> ProblemError:
        """An error about the value at `key`; `complaint` continues a sentence that begins with the key."""
        place = (*self._place, key)
        name = ".".join(map(str, place))
        return ProblemError(self.path, f"`{name}` {complaint}", self._lines.get(place))

    def is_text(self, key: str) -> bool:
        """Whether there is a single value, not a list or a mapping."""
        return isinstance(self._values.get(key), str | int | float)

    def is_table(self, key: str) -> bool:
        """Whether there is a mapping."""
        return isinstance(self._values.get(key), dict)

    def text(self, key: str, default: str = "") -> str:
        """Text; a number is the text that it was written as, more or less."""
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.error(key, "must be text")
        return str(value)

    def word(self, key: str) -> str:
        """One word; a truth value is `true` or `false`."""
        value = self._values.get(key)
        return str(value).lower() if isinstance(value, bool) else self.text(key)

    def choice(self, key: str, options: Iterable[T], default: T) -> T:
        """One of some words."""
        value = self._values.get(key, default)
        for option in options:
            if value == option:
                return option
        raise self.error(key, f"must be one of {', '.join(options)}, not {str(value)[:80]!r}")

    def flag(self, key: str, default: bool) -> bool:
        """True or false, also as YAML 1.1 writes them."""
        value = self._values.get(key, default)
        if isinstance(value, str) and value.lower() in ("yes", "no", "on", "off"):
            return value.lower() in ("yes", "on")
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def number(self, key: str, *, at_least: float = -math.inf, above: float = -math.inf) -> float | None:
        """A finite number; None if the key is absent."""
        value = self._values.get(key)
        if value is None:
            return None
        try:
            number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and number >= at_least and number > above):
            bound = f" of at least {at_least:g}" if at_least > -math.inf else ""
            bound = f" greater than {above:g}" if above > -math.inf else bound
            raise self.error(key, f"must be a number{bound}")
        return number

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one text of several words."""
        value = self._values.get(key, ())
        if isinstance(value, str):
            return tuple(value.split())
        return self.texts(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one text."""
        value = self._values.get(key, [])
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, bool) or not isinstance(item, str | int | float) for item in items):
            raise self.error(key, "must be a list of texts")
        return tuple(map(str, items))

    def table(self, key: str) -> YamlTable:
        """The mapping at `key`; an empty one if the key is absent."""
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, "must be a mapping of keys to values")
        return YamlTable(self.path, value, self._lines, self._repeated, (*self._place, key))

    def unknown(self, known: Iterable[str]) -> tuple[str, ...]:
        """A remark for each key that the format does not know, and for each that is there twice.

        Raises:
            ProblemError: one of them is probably a mistyped key that the format knows.
        """
        known = tuple(known)
        remarks = [
            f"{self.path.name}:{line}: has the key `{'.'.join(map(str, place))}` twice; the last one counts"
            for place, line in self._repeated.items()
            if place[:-1] == self._place
        ]
        for key in self._values:
            if key in known:
                continue
            meant = closest(key, (name for name in known if abs(len(name) - len(key)) <= 2))
            if meant and meant not in self._values:
                raise self.error(key, f"is not a key of the format; did you mean `{meant}`?")
            remarks.append(f"{self.path.name}: `{'.'.join(map(str, (*self._place, key)))}` is not a key of the format")
        return tuple(remarks)


def read_text(path: Path, max_bytes: int) -> str:
    """The text of a file of the package, with line ends of one character.

    Raises:
        ProblemError: it cannot be read, is too long, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ProblemError(path, f"cannot be read: {error.strerror or error}") from None
    if len(data) > max_bytes:
        raise ProblemError(path, f"has more than {max_bytes // 1024} KiB")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ProblemError(path, "is not UTF-8 text", line) from None
