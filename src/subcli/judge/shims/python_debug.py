"""Runs a Python solution under a debugger; loaded by `python_node.py` where `SUBCLI_DEBUGGER` asks for it.

pdb TERMINAL          pdb reads and writes this terminal: the solution's own streams carry messages
debugpy PORT PLACE    debugpy, imported from this directory, waits on this port of the loopback for an editor
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FunctionType


def run(debugger: str, code: CodeType, variables: dict[str, object]) -> None:
    """Run the program's code as the debugger wishes."""
    kind, _, rest = debugger.partition(" ")
    if kind == "pdb":
        _run_with_pdb(rest, code, variables)
        return
    port, _, place = rest.partition(" ")
    _wait_for_editor(int(port), place)
    FunctionType(code, variables)()


def _run_with_pdb(terminal: str, code: CodeType, variables: dict[str, object]) -> None:
    import pdb

    with open(terminal, encoding="utf-8") as reader, open(terminal, "w", encoding="utf-8") as writer:
        writer.write("\nThis node waits here. `b LINE` sets a breakpoint, `c` continues, `q` ends the node.\n")
        debugger = pdb.Pdb(stdin=reader, stdout=writer, nosigint=True, readrc=False)
        debugger.prompt = "(pdb) "
        debugger.run(code, variables)


def _wait_for_editor(port: int, place: str) -> None:
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    sys.path.append(place)
    import debugpy  # type: ignore[import-not-found, unused-ignore]

    # In this process: a process of its own would be left behind when the judge kills the node.
    debugpy.listen(("127.0.0.1", port), in_process_debug_adapter=True)
    debugpy.wait_for_client()
