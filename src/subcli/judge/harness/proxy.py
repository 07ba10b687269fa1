"""What stands in a test for something in the solution's process: a module, function, class or object.

A proxy is either a path, such as `matrix.Matrix`, that is looked up anew in each test, or an object of the test that
runs. It never claims another class than its own, and it equals data only if it is an instance of a class derived from a
built-in one that holds this data: that is compared here, and the expected value never reaches the solution.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from subcli.judge.harness.error_class import ErrorClass
from subcli.judge.harness.faults import Misuse, SolutionFault, Violation

if TYPE_CHECKING:
    from subcli.judge.harness.module import Modules

_CONSTANTS = (type(None), int, float, complex, str, bytes, date, timedelta, Decimal, Fraction)
_CHANGEABLE = (list, set, dict, bytearray)
_DATA = (*_CONSTANTS, *_CHANGEABLE, tuple, frozenset, range)
"""The types whose values cross as data."""
_OPERATORS = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "divmod"),
    *("and_", "or_", "xor", "lshift", "rshift"),
)
_IN_PLACE = ("iadd", "isub", "imul", "itruediv", "iand", "ior", "ixor")
_ORDERS = ("lt", "le", "gt", "ge")
_UNARY = ("neg", "pos", "invert", "abs", "reversed", "round")
_CONVERSIONS: dict[str, type] = {
    **{kind.__name__: kind for kind in (str, bytes, int, float, complex, bool)},
    "len": int,
    "index": int,
    "format": str,
}
_ASKED = (
    *("__name__", "__qualname__", "__doc__", "__module__", "__annotations__", "__version__", "__all__"),
    *("__dict__", "__slots__"),
)
"""Of the names that Python gives a meaning, those that are looked up in the solution."""


class Proxy:
    """Something in the solution's process."""

    __slots__ = ("__weakref__", "_subcli_kind", "_subcli_modules", "_subcli_number", "_subcli_path")

    def __init__(self, modules: Modules, *, path: tuple[str, ...] = (), number: int = -1, kind: str = "") -> None:
        for name, value in (("modules", modules), ("path", path), ("number", number), ("kind", kind)):
            object.__setattr__(self, f"_subcli_{name}", value)

    # -- attributes and calls

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("_pytest", "_subcli")) or (name.startswith("__") and name not in _ASKED):
            raise AttributeError(name)
        modules = self._subcli_modules
        if not modules.is_collecting:
            return modules.request("getattr", self, name)
        if name == "__all__":
            raise Misuse("a test says which names it imports from the solution; `import *` is not possible")
        if name.startswith("_") or not self._subcli_path:
            raise AttributeError(name)
        found = Proxy(modules, path=(*self._subcli_path, name), kind=name)
        try:
            # An exception class must be one for `pytest.raises`; all else but constants waits for a test.
            value = modules.request("value", found)
        except Misuse:
            raise
        except BaseException:
            return found
        is_error = isinstance(value, type) and issubclass(value, BaseException)
        return value if is_error or isinstance(value, _CONSTANTS) else found

    def __setattr__(self, name: str, value: Any) -> None:
        self._subcli_modules.request("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self._subcli_modules.request("delattr", self, name)

    def __call__(self, /, *arguments: Any, **options: Any) -> Any:
        return self._subcli_modules.request("call", self, *arguments, **options)

    def __dir__(self) -> list[str]:
        return [str(name) for name in self._subcli_modules.request("dir", self)]

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("an object of the solution's cannot be copied or pickled")

    def __mro_entries__(self, bases: object) -> Any:
        raise Misuse("a class of a test's cannot be derived from one of the solution's")

    # -- classes

    def __instancecheck__(self, value: object) -> bool:
        is_remote = isinstance(value, Proxy) or isinstance(type(value), ErrorClass)
        return is_remote and self._subcli_modules.request("isinstance", _resolved(value), self) is True

    def __subclasscheck__(self, kind: object) -> bool:
        is_remote = isinstance(kind, Proxy | ErrorClass)
        return is_remote and self._subcli_modules.request("issubclass", kind, self) is True

    # -- comparing

    def __eq__(self, other: object) -> Any:
        return _equal(self, other)

    def __ne__(self, other: object) -> Any:
        result = _equal(self, other)
        return result if result is NotImplemented else not result

    def __hash__(self) -> int:
        own, held = _seen(self)
        if held and not isinstance(held[0], _CHANGEABLE):
            # Texts have another hash there than here.
            return hash(held[0])
        return int(_checked(self, "hash", int, self._subcli_modules.request("hash", own)))

    def __contains__(self, item: object) -> bool:
        own, held = _seen(self)
        if held:
            return item in held[0]
        _allow(self, item, "in")
        return self._subcli_modules.request("contains", own, item) is True

    # -- containers and contexts

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self._subcli_modules.request("slice", self, key.start, key.stop, key.step)
        return self._subcli_modules.request("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._subcli_modules.request("setitem", self, key, value)

    def __delitem__(self, key: Any) -> None:
        self._subcli_modules.request("delitem", self, key)

    def __iter__(self) -> Iterator[Any]:
        # A proxy of an iterator, or, if the solution lies, something that Python refuses.
        iterator: Iterator[Any] = self._subcli_modules.request("iter", self)
        return iterator

    def __next__(self) -> Any:
        return self._subcli_modules.request("next", self)

    def __enter__(self) -> Any:
        return self._subcli_modules.request("enter", self)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        suppressed = self._subcli_modules.request("exit", self, error) is True
        # Otherwise a solution could raise anything, suppress it, and so leave out the rest of the block.
        is_possible = isinstance(error, Exception) and not isinstance(error, AssertionError | SolutionFault | Misuse)
        return suppressed and is_possible and self._subcli_modules.trusting

    def __repr__(self) -> str:
        try:
            text = self._subcli_modules.request("repr", self)
        except (Exception, KeyboardInterrupt):
            text = None
        return text if isinstance(text, str) else f"<{self._subcli_kind} of the solution>"


def _resolved(value: Any) -> Any:
    """What a path leads to: data, or a proxy of an object."""
    return value._subcli_modules.request("value", value) if type(value) is Proxy and value._subcli_path else value


def _seen(proxy: Proxy) -> tuple[Any, tuple[Any, ...]]:
    """What a proxy leads to, and in a tuple the data that it holds; an empty tuple if it holds none."""
    own = _resolved(proxy)
    if type(own) is not Proxy:
        return own, (own,) if isinstance(own, _DATA) else ()
    held = own._subcli_modules.request("held", own)
    return own, held if type(held) is tuple and len(held) == 1 else ()


def _equal(proxy: Proxy, other: object) -> Any:
    other = _resolved(other)
    if type(other) is not Proxy and not isinstance(other, _DATA):
        return NotImplemented
    own = _resolved(proxy)
    if type(own) is Proxy and (type(other) is Proxy or proxy._subcli_modules.trusting):
        return own is other or proxy._subcli_modules.request("eq", own, other) is True
    _, held = _seen(proxy)
    return bool(held) and held[0] == other


def _allow(proxy: Proxy, other: object, sign: str) -> None:
    modules = proxy._subcli_modules
    if type(_resolved(other)) is Proxy or modules.trusting:
        return
    raise modules.wrong(
        Violation(
            f"the test expected data, and the solution returned an object of its class {proxy._subcli_kind!r}",
            suggestions=("Return a number, text, list or other built-in value.",),
            explanation=f"The solution would decide what {sign!r} means between its object and data of the test's. "
            'A test that wants this says module("…", trusting=True).',
        )
    )


def _binary(name: str, sign: str, *, reflected: bool = False) -> Callable[[Proxy, Any], Any]:
    function = divmod if name == "divmod" else getattr(operator, name)

    def method(self: Proxy, other: Any) -> Any:
        if type(other) is not Proxy and not isinstance(other, _DATA):
            return NotImplemented
        own, held = _seen(self)
        is_changed = name in _IN_PLACE and isinstance(held[0] if held else None, _CHANGEABLE)
        if held and not is_changed:
            return function(other, held[0]) if reflected else function(held[0], other)
        _allow(self, other, sign)
        return self._subcli_modules.request(name, *((other, own) if reflected else (own, other)))

    return method


def _unary(name: str) -> Callable[..., Any]:
    return lambda self, *arguments: self._subcli_modules.request(name, self, *arguments)


def _conversion(name: str, kind: type) -> Callable[..., Any]:
    def method(self: Proxy, *arguments: Any) -> Any:
        return _checked(self, name, kind, self._subcli_modules.request(name, self, *arguments))

    return method


def _checked(proxy: Proxy, name: str, kind: type, result: Any) -> Any:
    if type(result) is not kind:
        raise TypeError(f"{name}() of {proxy._subcli_kind} gave no {kind.__name__}")
    return result


for _name in _OPERATORS:
    _plain = _name.rstrip("_")
    setattr(Proxy, f"__{_plain}__", _binary(_name, _plain))
    setattr(Proxy, f"__r{_plain}__", _binary(_name, _plain, reflected=True))
for _name in (*_ORDERS, *_IN_PLACE):
    setattr(Proxy, f"__{_name}__", _binary(_name, _name))
for _name in _UNARY:
    setattr(Proxy, f"__{_name}__", _unary(_name))
for _name, _kind in _CONVERSIONS.items():
    setattr(Proxy, f"__{_name}__", _conversion(_name, _kind))
