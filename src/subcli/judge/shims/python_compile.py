"""Compiles the files of a Python solution: `python -s -S -P python_compile.py SOURCE ...`.

The same as `python -m py_compile`, which takes three times as long: it imports `argparse`'s and `runpy`'s worlds first.
"""

import sys

# What `importlib.machinery` takes it from, without the rest of that package.
from _frozen_importlib_external import SourceFileLoader
from posix import _exit

_NAME = "solution"


def main(sources: "list[str]") -> int:
    """Compile, and keep what the import of a module would keep. Stops at the first error, and returns the exit code."""
    sys.dont_write_bytecode = False
    for source in sources:
        try:
            SourceFileLoader(_NAME, source).get_code(_NAME)
        except SyntaxError as error:
            sys.excepthook(type(error), error.with_traceback(None), None)
            return 1
        except Exception as error:
            sys.stderr.write(f"Sorry: {type(error).__name__}: {error}\n")
            return 1
    return 0


_code = main(sys.argv[1:])
sys.stderr.flush()
# Finalizing the interpreter would take as long as compiling.
_exit(_code)
