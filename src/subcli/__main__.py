"""``subcli`` and ``python -m subcli``. ``--version`` is answered before anything else is imported."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line and exit with the contract's codes (section 3)."""
    _fill_closed_streams()
    if sys.argv[1:] in (["--version"], ["-V"]):
        from subcli import __version__

        sys.stdout.write(f"subcli {__version__}\n")
        return
    if sys.argv[1:2] == ["__complete"]:
        from subcli.cli.completion.candidates import main as complete

        complete(sys.argv[2:])
        return
    # Next to nothing that is imported is garbage, and to look for it is a twelfth of our start. What goes on for long
    # switches it on again: following, serve, worker, problems check.
    gc.disable()
    # httpx imports a command line of its own (rich, click, pygments) where it can, a third of our start, and goes on
    # without it where that raises ImportError: which is what None in the module cache is there for.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    try:
        from subcli.cli.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        # Before there is anything to interrupt.
        sys.exit(130)
    except Exception as error:
        # What `run` cannot tell: an installation that is broken. Python itself would exit with a verdict's code.
        sys.stderr.write(f"error: subcli has a fault: {type(error).__name__}: {error}\n")
        sys.exit(3)
    # The interpreter's end would look through everything for cycles, which is a sixth of a short command.
    gc.freeze()
    sys.exit(code)


def _fill_closed_streams() -> None:
    """Where a standard stream was closed (``>&-``), open nothing in its place.

    Otherwise Python has no such stream, and the next socket or file would get its number.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


if __name__ == "__main__":
    main()
