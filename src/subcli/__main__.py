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

        _print_alone(f"subcli {__version__}\n")
        return
    if sys.argv[1:2] == ["__complete"]:
        from subcli.cli.completion.candidates import main as complete

        complete(sys.argv[2:])
        return
    # Imports create next to no garbage, and collecting it takes a twelfth of our startup time. Commands that run for
    # long enable it again: watching, serve, worker, problems check.
    gc.disable()
    # httpx imports its own command line (rich, click, pygments) if it can, a third of our startup time, and continues
    # without it after an ImportError, which None in the module cache causes.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    try:
        from subcli.cli.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        # Interrupted before anything was running.
        sys.exit(130)
    except Exception as error:
        # A broken installation, which `run` cannot report. Python itself would exit with 1, the code of a verdict.
        _say(f"error: subcli has a bug: {type(error).__name__}: {error}")
        sys.exit(3)
    # At exit the interpreter would look for cycles in all objects, a sixth of a short command's time.
    gc.freeze()
    sys.exit(code)


def _print_alone(text: str) -> None:
    """Print the program's entire output, without its usual streams."""
    try:
        try:
            # This few bytes are written completely or not at all (POSIX, PIPE_BUF).
            os.write(1, text.encode())
        except BlockingIOError:
            from subcli.shared.platform import HERE

            HERE.descriptors.write_all(1, text.encode())
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        _say(f"error: The output cannot be written: {error.strerror}.")
        sys.exit(2)


def _say(text: str) -> None:
    """Print a line on stderr, if anybody reads it. Python itself would exit with 1 or 120 if nobody does."""
    try:  # noqa: SIM105 -- importing contextlib would slow `--version`
        os.write(2, f"{text}\n".encode(errors="backslashreplace"))
    except OSError:
        pass


def _fill_closed_streams() -> None:
    """Open ``/dev/null`` in place of a standard stream that was closed (``>&-``).

    Otherwise Python has no such stream, and the next socket or file would get its descriptor.
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
