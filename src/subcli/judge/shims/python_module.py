"""Serves a Python solution to tests that import it: calls what they call, and answers with values.

    python -s -S python_module.py SOURCE

Requests arrive on stdin, one line of JSON each, and each is answered by one line; see `python_values`. An answer may be
a call of a function of the test's; what came of it is the next request then.

The solution shares this process and may change anything in it. It gains nothing: whatever is answered counts as what
the solution returned, and the tests compare it in another process.
"""

from __future__ import annotations

import builtins
import collections
import faulthandler
import importlib.util
import io
import json
import operator
import os
import signal
import sys
import threading
from contextlib import suppress

# Not from `typing`: every start would pay for the import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, BinaryIO

    from subcli.judge.shims.python_values import Refused, Values, held
else:
    from python_values import Refused, Values, held

_TEXT_LIMIT = 8_000
_DICTS = (collections.Counter, collections.OrderedDict, collections.defaultdict)


class Unloadable(Exception):
    """The solution's module cannot be imported; the cause says why."""


class Printed(io.TextIOWrapper):
    """stdout or stderr of the solution: the judge's log, and the text for the test, which may capture it."""

    def __init__(self) -> None:
        super().__init__(
            io.FileIO(2, "wb", closefd=False),  # unbuffered, as with `python -u`
            encoding="utf-8",
            errors="backslashreplace",
            write_through=True,
        )
        self.text: list[str] = []

    def write(self, text: str) -> int:
        self.text.append(text)
        return super().write(text)

    def taken(self) -> str:
        """What was printed since the last time."""
        text, self.text = "".join(self.text), []
        return text


class Server(Values):
    """Carries out requests."""

    def __init__(self, source: str, requests: BinaryIO, answers: int, printed: dict[str, Printed]) -> None:
        self._source = source
        self._requests = requests
        self._answers = answers
        self._printed = printed
        self._modules: dict[str, ModuleType] = {}
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._lent: dict[int, Any] = {}
        """Functions and exceptions of the test's, by number."""
        self._lent_numbers: dict[int, int] = {}
        self._waiting = 0
        """How many requests are being carried out, each but the first within a call of a test's function."""
        self._speaking = threading.RLock()
        self._last = 0

    # -- values that are not data

    def encode_other(self, value: Any, depth: int) -> Any:
        if id(value) in self._lent_numbers:
            return ["k", self._lent_numbers[id(value)]]
        if type(value) in _DICTS:
            return self.encode(dict(value), depth)
        if isinstance(value, type):
            if _is_builtin(value):
                return ["B", value.__name__]
            if issubclass(value, BaseException):
                return self._error_class(value)
        elif isinstance(value, BaseException):
            return self.encode_error(value, depth)
        return ["o", self._number(value), type(value).__name__]

    def _number(self, value: Any) -> int:
        number = self._numbers.setdefault(id(value), len(self._objects))
        if number == len(self._objects):
            self._objects.append(value)
        return number

    def _error_class(self, kind: type[BaseException]) -> Any:
        if _is_builtin(kind):
            return ["B", kind.__name__]
        bases = [self._error_class(base) for base in kind.__bases__ if issubclass(base, BaseException)]
        return ["X", kind.__module__, kind.__qualname__, bases]

    def encode_error(self, error: BaseException, depth: int = 0) -> Any:
        if id(error) in self._lent_numbers:
            return ["k", self._lent_numbers[id(error)]]
        try:
            text = str(error)[:_TEXT_LIMIT]
        except Exception:
            text = ""
        try:
            arguments = self.encode(tuple(error.args), depth + 1)
        except Refused:
            arguments = ["t", [self.encode(text)]]
        kind, number = self._error_class(type(error)), self._number(error)
        return ["x", kind, arguments, self.encode(text), number, self.encode(_trace(error))]

    def decode_other(self, tag: str, rest: list[Any], depth: int) -> Any:
        if tag == "o":
            return self._objects[rest[0]]
        if tag == "B":
            return getattr(builtins, rest[0])
        if tag == "m":
            value: Any = self._modules.get(rest[0]) or self._load(rest[0])
            for name in rest[1]:
                value = getattr(value, name)
            return value
        number, *about = rest
        if number not in self._lent:
            lent = self._lent[number] = self._function(number, *about) if len(about) == 1 else self._error(*about)
            self._lent_numbers[id(lent)] = number
        return self._lent[number]

    def _function(self, number: int, name: str) -> Any:
        def function(*arguments: Any, **options: Any) -> Any:
            return self._call_test(number, arguments, options)

        function.__name__ = function.__qualname__ = name
        return function

    def _error(self, kind: Any, arguments: Any) -> Any:
        kind, arguments = self.decode(kind), self.decode(arguments)
        try:
            return kind(*arguments)
        except Exception:
            return kind.__new__(kind, *arguments)

    def _load(self, name: str) -> ModuleType:
        try:
            self._modules[name] = self._import(name)
        except BaseException as error:
            raise Unloadable from error
        return self._modules[name]

    def _import(self, name: str) -> ModuleType:
        # A submission of a single file may call it as it likes.
        directory, first = os.path.dirname(self._source), name.partition(".")[0]
        files = os.listdir(directory)
        if first in files or f"{first}.py" in files or sum(file.endswith(".py") for file in files) > 1:
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(name, self._source)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    # -- requests

    def serve(self) -> dict[str, Any]:
        """Answer requests until one says what came of a call; when there are no more, the process ends."""
        for line in self._requests:
            request = json.loads(line)
            self._last = request["id"]
            if "op" not in request:
                return dict(request)
            self._waiting += 1
            answer = self._answer(request)
            with self._speaking:
                self._waiting -= 1
                self._send(answer)
        os._exit(0)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            arguments = [self.decode(each) for each in request["args"]]
            options = {name: self.decode(each) for name, each in request["options"].items()}
            try:
                result = OPERATIONS[request["op"]](*arguments, **options)
            except BaseException as error:
                answer = {"error": self.encode_error(error)}
            else:
                answer = {"ok": self.encode(result)}
            if request["changeable"]:
                answer["changed"] = self.encode([arguments, options])
            return answer
        except Refused as error:
            return {"refused": str(error)}
        except Unloadable as error:
            return {"unloaded": self.encode_error(error.__cause__ or error)}
        except BaseException as error:
            return {"error": self.encode_error(error)}

    def _call_test(self, number: int, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        with self._speaking:
            if not self._waiting:
                raise RuntimeError("a function of the test's can be called only while the test waits for an answer")
            named = {name: self.encode(each) for name, each in options.items()}
            self._send({"call": [number, [self.encode(each) for each in arguments], named]})
            came = self.serve()
        if "raised" in came:
            raise self.decode(came["raised"])
        return self.decode(came["returned"])

    def _send(self, answer: dict[str, Any]) -> None:
        printed = {name: text for name, stream in self._printed.items() if (text := stream.taken())}
        line = memoryview(json.dumps({"id": self._last, **printed, **answer}).encode() + b"\n")
        while line:
            line = line[os.write(self._answers, line) :]


def _is_builtin(kind: type) -> bool:
    return kind.__module__ == "builtins" and getattr(builtins, kind.__name__, None) is kind


def _trace(error: BaseException) -> str:
    """The traceback without the frames of this file."""
    if isinstance(error, StopIteration):
        return ""
    try:
        import traceback

        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        return "".join(traceback.format_exception(type(error), error, trace))[-_TEXT_LIMIT:]
    except Exception:
        return ""


def _call(function: Any, /, *arguments: Any, **options: Any) -> Any:
    return function(*arguments, **options)


def _exit(value: Any, error: Any) -> bool:
    return bool(type(value).__exit__(value, error and type(error), error, getattr(error, "__traceback__", None)))


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")},
    **{name: getattr(operator, name) for name in ("and_", "or_", "xor", "lshift", "rshift", "neg", "pos", "invert")},
    **{name: getattr(operator, name) for name in ("iadd", "isub", "imul", "itruediv", "iand", "ior", "ixor")},
    **{name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge", "contains", "index")},
    **{name: getattr(operator, name) for name in ("getitem", "setitem", "delitem")},
    **{name: getattr(builtins, name) for name in ("abs", "bool", "bytes", "complex", "divmod", "float", "format")},
    **{name: getattr(builtins, name) for name in ("hash", "int", "iter", "len", "next", "repr", "reversed", "round")},
    **{name: getattr(builtins, name) for name in ("str", "getattr", "setattr", "delattr", "issubclass", "dir")},
    "call": _call,
    "held": held,
    "exit": _exit,
    "value": lambda value: value,
    "enter": lambda value: type(value).__enter__(value),
    "isinstance": lambda value, kind: issubclass(type(value), kind),
    "slice": lambda value, start, stop, step: value[start:stop:step],
}


def _dump_on_request() -> None:
    """Write the call stack to stderr on SIGUSR1, and tell the judge that this works."""
    descriptor = os.environ.pop("SUBCLI_TRACE_FD", None)
    if descriptor is not None:
        faulthandler.register(signal.SIGUSR1, file=2)
        with suppress(OSError):
            os.write(int(descriptor), json.dumps({"dump_signal": int(signal.SIGUSR1)}).encode() + b"\n")
            os.close(int(descriptor))


def main() -> None:
    """Serve until stdin ends."""
    source = os.path.abspath(sys.argv[1])
    requests, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    printed = {"stdout": Printed(), "stderr": Printed()}
    vars(sys).update(printed, __stdout__=printed["stdout"], __stderr__=printed["stderr"])
    sys.path[0] = os.path.dirname(source)
    sys.argv = [source]
    # `site`, which is not loaded, would define these.
    vars(builtins).update(exit=sys.exit, quit=sys.exit)
    _dump_on_request()
    Server(source, requests, answers, printed).serve()


main()
