"""The test's side of the values that cross to a solution's process and back; see `shims.python_values`.

What arrives may be anything. It becomes the value that it says and nothing else, or raises an exception.
"""

from __future__ import annotations

import builtins
import sys
from collections import deque
from collections.abc import Hashable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from subcli.judge.harness.error_class import ErrorClass, made_class
from subcli.judge.harness.faults import Misuse
from subcli.judge.harness.proxy import Proxy
from subcli.judge.shims.python_values import FROM_SOLUTION, FROM_TEST, Refused, Values, held

if TYPE_CHECKING:
    from subcli.judge.harness.module import Modules

_STANDARD = sys.stdlib_module_names - {"unittest", "bdb"}
"""Where exceptions cross as themselves. The two have some that mean something to pytest."""
_TRACES_KEPT = 20


class Crossing(Values):
    """Encodes what a test passes and decodes what the solution returns. Numbers are those of one test."""

    most_sent = FROM_TEST
    most_received = FROM_SOLUTION

    def __init__(self, modules: Modules) -> None:
        self._modules = modules
        self._classes: dict[tuple[object, ...], type[BaseException]] = {}
        self.begin()

    def begin(self) -> None:
        """A test begins, with a process of its own."""
        self._objects: WeakValueDictionary[int, Proxy] = WeakValueDictionary()
        self._lent: list[Any] = []
        self._lent_numbers: dict[object, int] = {}
        self.traces: deque[tuple[BaseException, str]] = deque(maxlen=_TRACES_KEPT)
        """The latest exceptions of the solution's, with their tracebacks."""

    def lent(self, number: int) -> Any:
        """A function or an exception of the test's that the solution was given."""
        return self._lent[number]

    # -- to the solution

    def sent(self, value: Any) -> Any:
        """Encode a value of the test's.

        Raises:
            Misuse: It is neither data, nor a function, nor of the solution.
        """
        try:
            return self.encode(value)
        except Refused as error:
            raise Misuse(str(error)) from None

    def encode(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, datetime) and not isinstance(value.tzinfo, timezone | None):
            raise Misuse("a datetime can be passed to the solution without a time zone or with a fixed offset only")
        return super().encode(value, depth)

    def encode_other(self, value: Any, depth: int) -> Any:
        what = f"an object of type {type(value).__name__}"
        if type(value) is Proxy or isinstance(value, ErrorClass):
            return self._reference(value)
        if isinstance(type(value), ErrorClass) and "_subcli_object" in vars(value):
            return self._reference(vars(value)["_subcli_object"])
        if isinstance(value, type):
            if _is_builtin(value):
                return ["B", value.__name__]
            what = value.__name__
        elif isinstance(value, BaseException):
            kind = next(each for each in type(value).__mro__ if _is_builtin(each))
            try:
                arguments = self.encode(tuple(value.args), depth + 1)
            except Misuse:
                arguments = ["t", [str(value)]]
            return ["k", self._lend(value), ["B", kind.__name__], arguments]
        elif data := held(value):
            return self.encode(data[0], depth + 1)
        elif callable(value):
            return ["k", self._lend(value), getattr(value, "__name__", "function")]
        raise Misuse(f"{what} cannot be passed to the solution: data, functions and the solution's own objects can")

    def _reference(self, proxy: Any) -> list[Any]:
        if proxy._subcli_path:
            return ["m", proxy._subcli_path[0], list(proxy._subcli_path[1:])]
        number = proxy._subcli_number
        if self._objects.get(number) is not proxy:
            raise Misuse("this object of the solution's belongs to a test that has ended: make one in each test")
        return ["o", number]

    def _lend(self, value: Any) -> int:
        number = self._lent_numbers.setdefault(value if isinstance(value, Hashable) else id(value), len(self._lent))
        if number == len(self._lent):
            self._lent.append(value)
        return number

    # -- from the solution

    def decode_other(self, tag: str, rest: list[Any], depth: int) -> Any:
        match tag:
            case "o":
                return self._object(*rest)
            case "k":
                return self.lent(rest[0])
            case "B" | "X":
                return self._class(tag, rest, depth)
            case "x":
                return self._error(rest, depth)
        raise ValueError("no such kind of value")

    def _object(self, number: int, kind: str) -> Proxy:
        """What stands for an object: always the same as long as the test holds it."""
        found = self._objects.get(number)
        if found is None:
            found = Proxy(self._modules, number=_number(number), kind=_text(kind)[:200])
            self._objects[number] = found
        return found

    def _class(self, tag: str, rest: list[Any], depth: int) -> type:
        if depth > self.most_received:
            raise ValueError("nested too deeply")
        if tag == "B":
            kind = getattr(builtins, rest[0])
            if not isinstance(kind, type) or not _is_builtin(kind):
                raise ValueError("not a built-in class")
            return kind
        module, name, bases = rest
        if module.partition(".")[0] in _STANDARD:
            # A test that expects it has imported it.
            kind = getattr(sys.modules.get(module), name, None)
            if isinstance(kind, type) and issubclass(kind, Exception):
                return kind
        made = tuple(self._error_class(each, depth + 1) for each in bases[:10])
        # Always the same, in all tests.
        key = (_text(module)[:200], _text(name)[:200], made)
        if key not in self._classes:
            self._classes[key] = made_class(self._modules, *key)
        return self._classes[key]

    def _error_class(self, sent: Any, depth: int) -> type[BaseException]:
        tag, *rest = sent
        if tag not in ("B", "X"):
            raise ValueError("not a class")
        kind = self._class(tag, rest, depth)
        if not issubclass(kind, BaseException):
            raise ValueError("not an exception class")
        return kind

    def _error(self, rest: list[Any], depth: int) -> BaseException:
        kind = self._error_class(rest[0], depth + 1)
        values, text, trace = (self.decode(each, depth + 1) for each in (rest[1], rest[2], rest[4]))
        arguments = tuple(values)
        if isinstance(kind, ErrorClass):
            error = kind.__new__(kind, *arguments)
            error.__dict__["_subcli_text"] = _text(text)
            error.__dict__["_subcli_object"] = self._object(rest[3], kind.__name__)
        else:
            try:
                error = kind(*arguments)
            except Exception:
                error = kind.__new__(kind, *arguments)
        self.traces.append((error, _text(trace)))
        return error


def _is_builtin(kind: type) -> bool:
    return getattr(builtins, kind.__name__, None) is kind


def renewed(old: Any, new: Any) -> Any:
    """A value that equals `new`: a list, set or dictionary `old` is changed in place, and so are those in it."""
    if type(old) is not type(new) or not isinstance(old, list | dict | set):
        return new
    if isinstance(old, list):
        kept = [renewed(before, now) for before, now in zip(old, new, strict=False)]
        old[:] = kept + new[len(kept) :]
        return old
    now = {key: renewed(old.get(key), value) for key, value in new.items()} if isinstance(old, dict) else new
    old.clear()
    old.update(now)
    return old


def _text(sent: Any) -> str:
    if not isinstance(sent, str):
        raise ValueError("not a text")
    return sent


def _number(sent: Any) -> int:
    if type(sent) is not int:
        raise ValueError("not a number")
    return sent
