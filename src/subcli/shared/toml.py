"""The one way to read a TOML file: parsed, checked against a msgspec type, and with errors that name the place.

A type describes a table: a :class:`msgspec.Struct` with ``forbid_unknown_fields=True`` whose fields carry a
:class:`msgspec.Meta`. Its ``description`` completes the sentence "`key` must be ..."; its ``examples`` show, as TOML,
what would have been right::

    class Server(msgspec.Struct, forbid_unknown_fields=True):
        port: Annotated[int, Meta(ge=1, le=65535, description="a port number", examples=["8000"])]

    TomlFile.read(path).convert(Server)  # /etc/server.toml:3: `port` must be a port number.

Tables whose names are data (``[profiles.NAME]``) are declared as ``dict[str, Any]`` and converted one by one, so that
an error can name the table: msgspec leaves the keys of a mapping out of its messages.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from subcli.shared.suggest import did_you_mean

T = TypeVar("T")
Keys: TypeAlias = tuple[str | int, ...]
"""Where a value is: keys of tables and indexes of arrays, from the top of the file."""

MAX_BYTES: Final = 64 * 1024

_UNKNOWN_FIELD: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD: Final = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_PATH_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_HEADER: Final = re.compile(r"\s*(\[\[?)(.+?)\]\]?\s*(?:#.*)?")
_KEY_PART: Final = re.compile(r'"([^"]*)"|\'([^\']*)\'|([^.\s"\']+)')


class TomlError(ValueError):
    """A TOML file cannot be used.

    Attributes:
        path: the file.
        line: its line, counted from 1, if it is known.
        problem: a sentence about what is wrong, without the place and the final period.
        hint: what to do about it; may be empty.
    """

    def __init__(self, path: Path, problem: str, *, line: int | None = None, hint: str = "") -> None:
        super().__init__(path, problem, line, hint)
        self.path = path
        self.line = line
        self.problem = problem
        self.hint = hint

    @property
    def place(self) -> str:
        """``PATH:LINE``, or ``PATH`` if the line is not known."""
        return f"{self.path}:{self.line}" if self.line else str(self.path)

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


class TomlFile:
    """A file that was read and parsed.

    Args:
        path: the file, for messages.
        text: its text.

    Attributes:
        content: its top-level table.

    Raises:
        TomlError: the text is not TOML.
    """

    def __init__(self, path: Path, text: str) -> None:
        import tomllib

        self.path = path
        self._text = text.replace("\r\n", "\n")
        try:
            self.content: dict[str, Any] = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise TomlError(path, f"not valid TOML: {error}") from None
        except (ValueError, RecursionError):
            # A number of thousands of digits, or lists nested a thousand levels deep.
            raise TomlError(path, "not valid TOML: a value is too long or too deeply nested") from None

    @classmethod
    def read(cls, path: Path, *, max_bytes: int = MAX_BYTES) -> TomlFile:
        """Read and parse the file ``path``.

        Raises:
            TomlError: the file cannot be read, has more than ``max_bytes`` bytes, or is not TOML.
        """
        try:
            with path.open("rb") as file:
                data = file.read(max_bytes + 1)
            if len(data) > max_bytes:
                raise TomlError(path, f"larger than {max_bytes // 1024} KiB")
            return cls(path, data.decode("utf-8-sig"))
        except FileNotFoundError:
            raise TomlError(path, "no such file") from None
        except OSError as error:
            raise TomlError(path, f"cannot be read: {error.strerror or error}", hint="Check its owner.") from None
        except UnicodeDecodeError:
            raise TomlError(path, "not UTF-8 text", hint="Save it as UTF-8.") from None

    def convert(self, expected: type[T], keys: Keys = ()) -> T:
        """The table at ``keys`` as an ``expected``.

        Args:
            expected: a type as described at the top of this module.
            keys: where the table is; the top level if empty.

        Raises:
            TomlError: a key is unknown or missing, or a value is not what ``expected`` asks for.
        """
        table: Any = self.content
        for key in keys:
            table = table[key]
        try:
            return msgspec.convert(table, expected)
        except msgspec.ValidationError as error:
            raise self._explain(str(error), expected, keys) from None

    def without_unknown(self, expected: type[Any], keys: Keys = ()) -> list[TomlError]:
        """Remove from the table at ``keys`` what ``expected`` does not know.

        Returns:
            an error for each key that was removed, which nobody need raise.
        """
        table: Any = self.content
        for key in keys:
            table = table[key]
        removed: list[TomlError] = []
        while (found := _unknown_in(table, expected)) is not None:
            message, holder, name = found
            removed.append(self._explain(message, expected, keys))
            del holder[name]
        return removed

    def error(self, keys: Keys, problem: str, *, hint: str = "") -> TomlError:
        """An error about the value at ``keys``.

        Args:
            keys: where the value is.
            problem: what is wrong; continues a sentence that begins with the key, such as "must be a path".
            hint: what to do about it.
        """
        return TomlError(self.path, f"`{_dotted(keys)}` {problem}", line=find_line(self._text, keys), hint=hint)

    def _explain(self, message: str, expected: Any, keys: Keys) -> TomlError:
        """The error for a message of msgspec, which ends in `` - at `$.a.b[0]` `` unless the top level is at fault."""
        problem, _, path = message.rpartition(" - at `$")
        problem = problem or message
        steps: Keys = tuple(name or int(index) for name, index in _PATH_STEP.findall(path.removesuffix("`")))
        fault = _follow(expected, steps)
        if match := _UNKNOWN_FIELD.fullmatch(problem):
            at = (*keys, *steps, match[1])
            hint = f"{did_you_mean(match[1], fault.fields)} Known: {', '.join(fault.fields)}.".lstrip()
            return TomlError(self.path, f"unknown key `{_dotted(at)}`", line=find_line(self._text, at), hint=hint)
        if match := _MISSING_FIELD.fullmatch(problem):
            fault = _follow(expected, (*steps, match[1]))
            return self.error((*keys, *steps, match[1]), f"is missing; it must be {fault.description}")
        at = (*keys, *steps[: fault.depth])
        hint = f"For example: `{at[-1]} = {fault.example}`." if at and fault.example else ""
        return self.error(at, f"must be {fault.description}", hint=hint)


def _unknown_in(table: Any, expected: type[Any]) -> tuple[str, dict[str, Any], str] | None:
    """The first key that ``expected`` does not know: what msgspec says, the table that has it, and its name."""
    try:
        msgspec.convert(table, expected)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).rpartition(" - at `$")
        match = _UNKNOWN_FIELD.fullmatch(problem or str(error))
        if match is None:
            return None
        try:
            for name, index in _PATH_STEP.findall(path.removesuffix("`") if problem else ""):
                table = table[name or int(index)]
            return (str(error), table, match[1]) if match[1] in table else None
        except (KeyError, IndexError, TypeError):
            # A key may be written so that the message refers to a place that does not exist.
            return None
    return None


class _Expected(msgspec.Struct):
    """What a type says about the value at a path.

    Attributes:
        description: completes "must be"; that of the innermost value on the path that has one.
        example: how such a value is written; may be empty.
        depth: how many steps of the path lead to the value described.
        fields: the keys of the table at the end of the path, if it is one.
    """

    description: str = "a table"
    example: str = ""
    depth: int = 0
    fields: tuple[str, ...] = ()


def _follow(expected: Any, steps: Keys) -> _Expected:
    """Follow ``steps`` through the type ``expected``."""
    from msgspec import inspect

    found = _Expected()
    info: inspect.Type = inspect.type_info(expected)
    for depth in range(len(steps) + 1):
        if isinstance(info, inspect.UnionType):
            info = next(each for each in info.types if not isinstance(each, inspect.NoneType))
        if isinstance(info, inspect.Metadata):
            schema = info.extra_json_schema or {}
            if "description" in schema:
                found = _Expected(schema["description"], next(iter(schema.get("examples", ())), ""), depth)
            info = info.type
        elif isinstance(info, inspect.StructType):
            found = _Expected(depth=depth)
        if depth == len(steps):
            if isinstance(info, inspect.StructType):
                found.fields = tuple(field.encode_name for field in info.fields)
            break
        if isinstance(info, inspect.StructType):
            info = next((field.type for field in info.fields if field.encode_name == steps[depth]), inspect.AnyType())
        elif isinstance(info, inspect.ListType | inspect.VarTupleType):
            info = info.item_type
    return found


def find_line(text: str, keys: Keys) -> int | None:
    """The line of a TOML text, counted from 1, where the value at ``keys`` is.

    If it is not in the text, the line where the table around it begins; None if that is the top level. This checks only
    the beginnings of lines, so a multi-line string with a line that looks like a key may mislead it.
    """
    table: Keys = ()
    arrays: dict[Keys, int] = {}
    lines: dict[Keys, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.fullmatch(line):
            table = _split_key(header[2])
            for length in range(1, len(table) + 1):
                lines.setdefault(table[:length], number)
            if header[1] == "[[":
                arrays[table] = arrays.get(table, -1) + 1
                table = (*table, arrays[table])
                lines.setdefault(table, number)
        elif "=" in line:
            key = (*table, *_split_key(line.partition("=")[0]))
            for length in range(len(table) + 1, len(key) + 1):
                lines.setdefault(key[:length], number)
    return next((lines[keys[:length]] for length in range(len(keys), 0, -1) if keys[:length] in lines), None)


def _split_key(text: str) -> Keys:
    """The parts of a dotted key."""
    return tuple("".join(parts) for parts in _KEY_PART.findall(text))


def _dotted(keys: Keys) -> str:
    """``limits.memory_mb``, ``solutions[0].file``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")
