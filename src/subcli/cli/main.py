"""The outermost layer: runs a command line and turns whatever comes out of it into an exit code.

Every error is told here or by a view, once, and in one of two ways: a sentence and a hint on stderr, or
with ``--json`` an ``error`` line on stdout.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Final

from subcli.cli import exits
from subcli.core.errors import InternalError, InterruptedByUser, SubcliError, UsageError

if TYPE_CHECKING:
    from typing import NoReturn, TextIO

_OUTPUT_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Terminated(BaseException):
    """SIGTERM, or a closed terminal, outside of the event loop."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Args:
        arguments: without the program's name.

    Returns:
        The exit code (contract, section 3).
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from subcli.output.workflow_commands import protect_streams

        protect_streams(json="--json" in arguments)
    try:
        code = _invoke(list(arguments))
        sys.stdout.flush()
    except (BrokenPipeError, exits.ReaderGone):
        _silence(sys.stdout, sys.stderr)
        return exits.READER_GONE
    except OSError as error:
        return _output_lost(error, arguments)
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


_KINDS: Final = {"float range": "number", "integer range": "whole number"}
"""What typer calls its types, and what a person does."""


def _usage(error: Exception) -> UsageError:
    """What typer found wrong with the words, in our form."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "subcli"
    hint = f"`{path} --help`"
    option = getattr(error, "option_name", None)
    if option is not None and getattr(error, "possibilities", None):
        from subcli.shared.suggest import did_you_mean

        hint = f"{did_you_mean(option, error.possibilities)} {hint} shows all.".lstrip()  # type: ignore[attr-defined]
        return UsageError(f"There is no option {option}.", hint=hint)
    format_message = getattr(error, "format_message", None)
    message: str = format_message() if format_message is not None else str(error)
    message = message.rstrip()
    for kind, words in _KINDS.items():
        message = message.replace(f"is not a valid {kind}", f"is no {words}")
    ending = "" if message.endswith((".", "?", "!")) else "."
    return UsageError(f"{message}{ending}", hint=hint)


def _output_lost(error: OSError, arguments: Sequence[str]) -> int:
    """The terminal was closed, or the disk is full; anything else is our fault."""
    if error.filename is None and error.errno in _OUTPUT_FULL:
        _silence(sys.stdout)
        # Said on stderr in any case: stdout is what cannot be written.
        return _tell(
            UsageError(f"The output cannot be written: {error.strerror}.", hint="Make room, or write it elsewhere."), ()
        )
    if error.filename is None and error.errno == errno.EIO:
        _silence(sys.stdout, sys.stderr)
        return exits.INTERRUPTED + signal.SIGTERM
    return _fault(error, arguments)


def _tell(error: SubcliError, arguments: Sequence[str]) -> int:
    from subcli.settings.token import secrets_in
    from subcli.shared.secret import redact

    secrets = secrets_in(os.environ)
    error.message, error.hint = redact(error.message, *secrets), redact(error.hint, *secrets)
    code = exits.of_error(error)
    try:
        if "--json" in arguments:
            from subcli.cli.common import now, print_json
            from subcli.output.ndjson import error_fields

            print_json({"type": "error", "timestamp": now(), **error_fields(error, code)})
        if "--json" not in arguments or isinstance(error, InterruptedByUser):
            from subcli.output.terminal.report import report

            report(error, sys.stderr, os.environ)
    except OSError:
        _silence(sys.stdout, sys.stderr)
    return code


def _fault(error: Exception, arguments: Sequence[str]) -> int:
    """An uncaught exception: our own fault. The traceback is for ``--debug``, without secrets."""
    import traceback

    from subcli.output.printable import printable
    from subcli.settings.token import secrets_in
    from subcli.shared.secret import redact

    secrets = secrets_in(os.environ)
    if "--debug" in arguments or os.environ.get("SUBCLI_DEBUG"):
        with contextlib.suppress(OSError):
            sys.stderr.write(printable(redact("".join(traceback.format_exception(error)), *secrets)))
    what = f"{type(error).__name__}: {redact(str(error), *secrets)}".rstrip(": ")
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


def _silence(*streams: TextIO) -> None:
    """Let the interpreter's last flush go nowhere: the readers of ``streams`` went away."""
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
