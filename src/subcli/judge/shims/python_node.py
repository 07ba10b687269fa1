"""Runs a Python solution: `python -s -S -P python_node.py SOURCE`.

Every run compiles this file and pays for what it imports. So it is short, imports nothing that is not built in, and
loads the rest where somebody asks for it: what reports where each line is printed, and debuggers.
"""

import builtins
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

_ASKING = (b"SUBCLI_TRACE_FD", b"SUBCLI_DEBUGGER")


def _show(kind: "type[BaseException]", error: BaseException, trace: "TracebackType | None") -> None:
    """Print the traceback without the frames of this file."""
    import traceback

    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(kind, error, trace)


def main() -> None:
    """Run the program named on the command line as `__main__`."""
    source = _absolute(sys.argv[1])
    sys.argv = sys.argv[1:]
    sys.path.insert(0, source.rpartition("/")[0] or "/")
    sys.excepthook = _show
    is_asked = any(name in posix.environ for name in _ASKING)
    debugger = _loaded("python_report").prepare() if is_asked else ""
    # `site`, which is not loaded, would define these.
    vars(builtins).update(exit=sys.exit, quit=sys.exit)
    with open(source, "rb") as file:
        code = compile(file.read(), source, "exec", dont_inherit=True)
    module = type(sys)("__main__")
    vars(module).update(__file__=source, __builtins__=builtins)
    sys.modules["__main__"] = module
    if debugger:
        _loaded("python_debug").run(debugger, code, vars(module))
        return
    # The same as `exec`: a function of the code with the globals of the new module.
    function: Any = type(main)
    function(code, vars(module))()


def _absolute(path: str) -> str:
    if {"", ".", ".."}.isdisjoint(path.split("/")):
        return posix.getcwd().rstrip("/") + "/" + path
    import os

    return os.path.abspath(path)


def _loaded(name: str) -> "Any":
    """A module beside this file. It is loaded by its path: what is on `sys.path` is the solution's."""
    import os
    from importlib.util import module_from_spec, spec_from_file_location

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = spec_from_file_location(f"subcli_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


main()
