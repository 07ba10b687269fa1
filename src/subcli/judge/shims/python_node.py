"""Runs a Python solution and reports where it prints each line.

    python -s -S -P python_node.py SOURCE

The report goes to a separate descriptor, one line of JSON for each line of output: a checksum of the line, and the
frames of the call stack that are in the solution's own files, innermost first. The judge only shows it. A solution that
turns it off loses nothing but the line numbers. Where nobody asks for reports, what they need is not imported: it would
double the time in which a program starts.
"""

from __future__ import annotations

import builtins
import os
import sys
from types import FunctionType

# Not from `typing`: every node would pay for the import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, FrameType, TracebackType
    from typing import TextIO

    Frame = tuple[str, int, str]

_DEPTH = 8


class _Traced:
    """Standard output that reports the call stack whenever a line is complete."""

    def __init__(self, stream: TextIO, descriptor: int, directory: str) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._directory = directory + os.sep
        self._names: dict[str, str] = {}
        self._line = ""

    def write(self, text: str) -> int:
        self._line += text
        if "\n" in text:
            *whole, self._line = self._line.split("\n")
            frames = self._frames(sys._getframe(1))
            for line in whole:
                self._report(line, frames)
        return self._stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def _report(self, line: str, frames: list[Frame]) -> None:
        import json
        import zlib

        checksum = zlib.crc32(line.encode("utf-8", "surrogatepass"))
        # If the judge does not read fast enough, the report is lost, but not the line.
        try:  # noqa: SIM105 -- importing contextlib takes long
            os.write(self._descriptor, json.dumps([checksum, frames]).encode() + b"\n")
        except OSError:
            pass

    def _frames(self, frame: FrameType | None) -> list[Frame]:
        frames: list[Frame] = []
        while frame is not None and len(frames) < _DEPTH:
            file = frame.f_code.co_filename
            name = self._names.get(file)
            if name is None:
                inside = file.startswith(self._directory)
                name = self._names[file] = file[len(self._directory) :] if inside else ""
            if name:
                frames.append((name, frame.f_lineno, frame.f_code.co_name))
            frame = frame.f_back
        return frames

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback without the frames of this file."""
    import traceback

    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(kind, error, trace)


def _dump_on_request(descriptor: int) -> None:
    """Write the call stack to stderr on SIGUSR1, and tell the judge that this works."""
    import faulthandler
    import signal

    faulthandler.register(signal.SIGUSR1)
    try:  # noqa: SIM105
        os.write(descriptor, b'{"dump_signal": %d}\n' % signal.SIGUSR1)
    except OSError:
        pass


def main() -> None:
    """Run the program named on the command line as `__main__`."""
    source = os.path.abspath(sys.argv[1])
    descriptor = os.environ.pop("SUBCLI_TRACE_FD", None)
    sys.argv = sys.argv[1:]
    sys.path.insert(0, os.path.dirname(source))
    sys.excepthook = _show
    if descriptor is not None:
        os.set_blocking(int(descriptor), False)
        os.set_inheritable(int(descriptor), False)
        _dump_on_request(int(descriptor))
        vars(sys)["stdout"] = _Traced(sys.stdout, int(descriptor), os.getcwd())
    # `site`, which is not loaded, would define these.
    vars(builtins).update(exit=sys.exit, quit=sys.exit)
    with open(source, "rb") as file:
        code = compile(file.read(), source, "exec", dont_inherit=True)
    module = type(sys)("__main__")
    vars(module).update(__file__=source, __builtins__=builtins)
    sys.modules["__main__"] = module
    if debugger := os.environ.pop("SUBCLI_DEBUGGER", ""):
        _debugging()(debugger, code, vars(module))
        return
    # The same as `exec`: a function of the code with the globals of the new module.
    FunctionType(code, vars(module))()


def _debugging() -> Callable[[str, CodeType, dict[str, object]], None]:
    """What runs a program under a debugger. It is loaded by its path: what is on `sys.path` is the solution's."""
    from importlib.util import module_from_spec, spec_from_file_location

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_debug.py")
    spec = spec_from_file_location("subcli_python_debug", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    run: Callable[[str, CodeType, dict[str, object]], None] = module.run
    return run


main()
