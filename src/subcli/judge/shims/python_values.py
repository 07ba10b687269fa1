"""Values on their way between a test and the solution's process, as JSON. Both ends use this module.

None, booleans, text and integers below 2**53 are themselves. Everything else is a list that begins with a tag:

    i f c b a    text          integer, float, complex, bytes, bytearray
    u r          text          text with surrogates, range
    D T W N Q    text          date, datetime, timedelta, Decimal, Fraction
    l t S F      values        list, tuple, set, frozenset
    d            pairs         dict
    B            name          a built-in class
    X            module name bases                         an exception class of the solution's
    x            class arguments text number traceback     an exception of the solution's
    o            number class  an object of the solution's
    m            module path   what a module of the solution's calls so; to the solution only
    k            number        a function or an exception of the test's; to the solution with what it needs to know

It imports what is not loaded anyway only where it is used: each start of a solution would pay for it.
"""

from __future__ import annotations

import importlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FROM_SOLUTION, FROM_TEST = 100, 200
"""How deep values may be nested. A test may put what the solution has returned into values of its own."""
_NATIVE = 1 << 53
_SCALARS: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    int: ("i", hex, lambda text: int(text, 16)),
    float: ("f", float.hex, float.fromhex),
    complex: (
        "c",
        lambda value: f"{value.real.hex()} {value.imag.hex()}",
        lambda text: complex(*map(float.fromhex, text.split())),
    ),
    str: (
        "u",
        lambda value: value.encode("utf-8", "surrogatepass").hex(),
        lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
    ),
    bytes: ("b", bytes.hex, bytes.fromhex),
    bytearray: ("a", bytearray.hex, bytearray.fromhex),
    range: (
        "r",
        lambda value: f"{value.start} {value.stop} {value.step}",
        lambda text: range(*map(int, text.split())),
    ),
}
_LIBRARY: dict[tuple[str, str], tuple[str, Callable[[Any], str], Callable[[Any, str], Any]]] = {
    ("datetime", "date"): ("D", lambda value: value.isoformat(), lambda kind, text: kind.fromisoformat(text)),
    ("datetime", "datetime"): (
        "T",
        lambda value: f"{value.fold}{value.isoformat()}",
        lambda kind, text: kind.fromisoformat(text[1:]).replace(fold=int(text[0])),
    ),
    ("datetime", "timedelta"): (
        "W",
        lambda value: f"{value.days} {value.seconds} {value.microseconds}",
        lambda kind, text: kind(*map(int, text.split())),
    ),
    ("decimal", "Decimal"): ("N", str, lambda kind, text: kind(text)),
    ("fractions", "Fraction"): (
        "Q",
        lambda value: f"{value.numerator:x}/{value.denominator:x}",
        lambda kind, text: kind(*(int(part, 16) for part in text.split("/"))),
    ),
}
_COLLECTIONS: dict[type, str] = {list: "l", tuple: "t", set: "S", frozenset: "F"}
_READ_COLLECTION: dict[object, Callable[[Any], Any]] = {tag: kind for kind, tag in _COLLECTIONS.items()}
_READ_SCALAR = {tag: read for tag, _, read in _SCALARS.values()}
_READ_LIBRARY = {tag: (*names, read) for names, (tag, _, read) in _LIBRARY.items()}
_BASES = (int, float, complex, str, bytes, bytearray, *_COLLECTIONS, dict)


class Refused(Exception):
    """A value cannot be encoded; the text says why."""


def _is_plain(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def held(value: Any) -> tuple[Any, ...]:
    """The data in an instance of a class derived from a built-in one, in a tuple; an empty one for all else.

    Its own methods are not called.
    """
    base: Any = next((base for base in _BASES if issubclass(type(value), base)), None)
    if base is None:
        return ()
    if base is dict:
        return ({key: dict.__getitem__(value, key) for key in dict.__iter__(value)},)
    if base is str:
        return (str.__str__(value),)
    if base in (int, float, complex):
        return (base.__pos__(value),)
    return (base(base.__iter__(value)),)


class Values:
    """Encodes and decodes data. A subclass does so for everything else."""

    most_sent = FROM_SOLUTION
    most_received = FROM_TEST

    def encode(self, value: Any, depth: int = 0) -> Any:
        """What stands for a value in JSON.

        Raises:
            Refused: It is nested too deeply.
        """
        kind = type(value)
        if value is None or kind is bool or (kind is int and -_NATIVE < value < _NATIVE):
            return value
        if kind is str and _is_plain(value):
            return value
        if depth > self.most_sent:
            raise Refused(f"a value is nested more than {self.most_sent} levels deep")
        if kind in _SCALARS:
            tag, write, _ = _SCALARS[kind]
            return [tag, write(value)]
        if kind in _COLLECTIONS:
            return [_COLLECTIONS[kind], [self.encode(each, depth + 1) for each in value]]
        if kind is dict:
            return ["d", [[self.encode(key, depth + 1), self.encode(each, depth + 1)] for key, each in value.items()]]
        names = (kind.__module__, kind.__name__)
        if names in _LIBRARY and getattr(sys.modules.get(names[0]), names[1], None) is kind:
            return [_LIBRARY[names][0], _LIBRARY[names][1](value)]
        return self.encode_other(value, depth)

    def decode(self, sent: Any, depth: int = 0) -> Any:
        """The value that something in JSON stands for. What stands for none raises any exception."""
        if sent is None or type(sent) in (bool, int, str):
            return sent
        if depth > self.most_received:
            raise ValueError("nested too deeply")
        tag, *rest = sent
        if tag in _READ_COLLECTION:
            return _READ_COLLECTION[tag](self.decode(each, depth + 1) for each in rest[0])
        if tag == "d":
            return {self.decode(key, depth + 1): self.decode(each, depth + 1) for key, each in rest[0]}
        if tag in _READ_SCALAR:
            return _READ_SCALAR[tag](rest[0])
        if tag in _READ_LIBRARY:
            module, name, read = _READ_LIBRARY[tag]
            return read(getattr(importlib.import_module(module), name), rest[0])
        return self.decode_other(tag, rest, depth)

    def encode_other(self, value: Any, depth: int) -> Any:
        """What stands for something that is not data."""
        raise NotImplementedError

    def decode_other(self, tag: str, rest: list[Any], depth: int) -> Any:
        """What something that is not data stands for."""
        raise NotImplementedError
