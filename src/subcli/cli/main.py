"""The outermost layer: runs a command line and turns whatever comes out of it into an exit code.

Every error is told here or by a view, once, and in one of two ways: a sentence and a hint on stderr, or
with ``--json`` an ``error`` line on stdout.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from subcli.cli import exits
from subcli.errors import InternalError, InterruptedByUser, SubcliError, UsageError

if TYPE_CHECKING:
    from typing import NoReturn


class _Terminated(BaseException):
    """SIGTERM outside of the event loop."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Args:
        arguments: without the program's name.

    Returns:
        The exit code (contract, section 3).
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _invoke(list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
        return exits.READER_GONE
    except SubcliError as error:
        return _tell(error, arguments)
    except KeyboardInterrupt:
        return _tell(InterruptedByUser("Interrupted.", hint=_nothing_known(arguments), signal_number=2), arguments)
    except _Terminated:
        return _tell(InterruptedByUser("Terminated.", hint=_nothing_known(arguments), signal_number=15), arguments)
    except Exception as error:
        return _fault(error, arguments)
    return code


def _invoke(arguments: list[str]) -> int:
    from typer._click.exceptions import ClickException, NoArgsIsHelpError

    from subcli.cli.app import app

    try:
        result = app(arguments, prog_name="subcli", standalone_mode=False)
    except NoArgsIsHelpError as error:
        sys.stderr.write(f"{error.format_message()}\n")
        return exits.USAGE
    except ClickException as error:
        raise _usage(error) from None
    return result if isinstance(result, int) else exits.OK


def _usage(error: Exception) -> UsageError:
    """What typer found wrong with the words, in our form."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "subcli"
    message = getattr(error, "message", None) or str(error)
    format_message = getattr(error, "format_message", None)
    if format_message is not None:
        message = format_message()
    message = message.rstrip()
    ending = "" if message.endswith((".", "?", "!")) else "."
    return UsageError(f"{message}{ending}", hint=f"`{path} --help`")


def _tell(error: SubcliError, arguments: Sequence[str]) -> int:
    code = exits.of_error(error)
    try:
        if "--json" in arguments:
            from subcli.cli.common import now, print_json
            from subcli.output.ndjson import error_fields

            print_json({"type": "error", "timestamp": now(), **error_fields(error, code)})
        else:
            from subcli.output.report import report

            report(error, sys.stderr, os.environ)
    except BrokenPipeError:
        _silence(sys.stdout)
    return code


def _fault(error: Exception, arguments: Sequence[str]) -> int:
    """An uncaught exception: our own fault. The traceback is for ``--debug``, without secrets."""
    import traceback

    from subcli.output.printable import printable
    from subcli.secret import redact

    if "--debug" in arguments or os.environ.get("SUBCLI_DEBUG"):
        with contextlib.suppress(OSError):
            sys.stderr.write(printable(redact("".join(traceback.format_exception(error)))))
    what = f"{type(error).__name__}: {redact(str(error))}".rstrip(": ")
    return _tell(
        InternalError(
            f"subcli has a fault: {what}",
            hint="Please report it with what `--debug` prints; it holds no secrets.",
        ),
        arguments,
    )


def _nothing_known(arguments: Sequence[str]) -> str:
    if "submit" in arguments:
        return "Nothing may have been handed in; `subcli list` shows what was."
    return ""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _silence(stream: object) -> None:
    """Let the interpreter's last flush go nowhere: the reader of ``stream`` went away."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
