"""The outermost layer: run a command line and turn its outcome into an exit code.

Every error is reported here or by a view, once, and in one of two ways: a sentence and a hint on stderr, or
with ``--json`` an ``error`` line on stdout.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Final

from subcli.cli import exits
from subcli.cli.streams import Streams, open_streams
from subcli.core.errors import InternalError, InterruptedByUser, SubcliError, UsageError
from subcli.shared.platform import HERE, Platform

if TYPE_CHECKING:
    from typing import NoReturn

_OUTPUT_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
_TOLD_TO_END: Final = (
    exits.of_kind("timeout"),
    exits.INTERRUPTED + signal.SIGINT,
    exits.INTERRUPTED + signal.SIGTERM,
)
"""The codes of a command that must end at once, whether or not anybody reads its output."""

_KINDS: Final = {"float range": "number", "int range": "whole number", "float": "number", "int": "whole number"}
"""Typer's names for its types, and plain ones."""


class _Terminated(BaseException):
    """SIGTERM, Ctrl-Break, or a closed terminal, outside of the event loop."""


def run(arguments: Sequence[str], platform: Platform = HERE) -> int:
    """Run one command line.

    Args:
        arguments: without the program's name.
        platform: of this machine, or one whose ways are to be tried.

    Returns:
        The exit code (contract, section 3).
    """
    for number in platform.signals.ending:
        if number != signal.SIGINT and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    open_streams(json="--json" in arguments, platform=platform)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from subcli.output.workflow_commands import protect_streams

        protect_streams(json="--json" in arguments)
    return _Run(arguments, Streams.of_process(platform)).exit_code()


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


class _Run:
    """One command line, on the streams of the process."""

    def __init__(self, arguments: Sequence[str], streams: Streams) -> None:
        self._arguments = list(arguments)
        self._streams = streams

    def exit_code(self) -> int:
        """Run the command; report what goes wrong; wait until its output is read."""
        try:
            code = self._reported()
            if code in _TOLD_TO_END:
                self._streams.hurry()
                with contextlib.suppress(OSError):
                    self._flush()
                # The interpreter's final flush must not wait for what is left.
                self._streams.abandon()
        except (KeyboardInterrupt, _Terminated) as second:
            # A second error while the first was reported.
            self._streams.abandon()
            code = exits.INTERRUPTED + (signal.SIGINT if isinstance(second, KeyboardInterrupt) else signal.SIGTERM)
        return code

    def _flush(self) -> None:
        self._streams.stdout.flush()
        self._streams.stderr.flush()

    def _reported(self) -> int:
        try:
            code = self._invoke()
            if code not in _TOLD_TO_END:
                self._flush()
        except (BrokenPipeError, exits.ReaderGone):
            self._streams.abandon()
            return exits.READER_GONE
        except OSError as error:
            return self._output_lost(error)
        except SubcliError as error:
            return self._report(error)
        except (KeyboardInterrupt, exits.CtrlC):
            return self._report(InterruptedByUser("Interrupted.", hint=self._resume_hint(), signal_number=2))
        except _Terminated:
            return self._report(InterruptedByUser("Terminated.", hint=self._resume_hint(), signal_number=15))
        except Exception as error:
            return self._fault(error)
        return code

    def _invoke(self) -> int:
        from typer._click.exceptions import ClickException, NoArgsIsHelpError

        from subcli.cli.app import app

        try:
            result = app(self._arguments, prog_name="subcli", standalone_mode=False, obj=self._streams)
        except NoArgsIsHelpError as error:
            self._streams.write_error(f"{error.format_message()}\n")
            return exits.USAGE
        except ClickException as error:
            raise _usage(error) from None
        return result if isinstance(result, int) else exits.OK

    def _output_lost(self, error: OSError) -> int:
        """The terminal was closed, or the disk is full; anything else is a bug."""
        if error.filename is None and error.errno in _OUTPUT_FULL:
            self._streams.abandon(self._streams.stdout)
            message = f"The output cannot be written: {error.strerror}."
            # On stderr even with `--json`: stdout is what cannot be written.
            return self._report(UsageError(message, hint="Free some space, or write it elsewhere."), json=False)
        if error.filename is None and error.errno == errno.EIO:
            self._streams.abandon()
            return exits.INTERRUPTED + signal.SIGTERM
        return self._fault(error)

    def _report(self, error: SubcliError, *, json: bool = True) -> int:
        """Report an error, without secrets; its exit code.

        Args:
            json: on stdout, if ``--json`` was given.
        """
        from subcli.settings.token import secrets_in
        from subcli.shared.secret import redact

        json = json and "--json" in self._arguments
        secrets = secrets_in(self._streams.env)
        error.message, error.hint = redact(error.message, *secrets), redact(error.hint, *secrets)
        code = exits.of_error(error)
        if code in _TOLD_TO_END:
            self._streams.hurry()
        try:
            if json:
                from subcli.cli.common import now
                from subcli.output.ndjson import error_fields

                self._streams.print_json({"type": "error", "timestamp": now(), **error_fields(error, code)})
            if not json or isinstance(error, InterruptedByUser):
                from subcli.output.terminal.report import report

                report(error, self._streams.stderr, self._streams.env)
        except OSError:
            self._streams.abandon()
        return code

    def _fault(self, error: Exception) -> int:
        """Report an uncaught exception, a bug. The traceback is shown with ``--debug``, without secrets."""
        import traceback

        from subcli.output.printable import printable
        from subcli.settings.token import secrets_in
        from subcli.shared.secret import redact

        secrets = secrets_in(self._streams.env)
        if "--debug" in self._arguments or self._streams.env.get("SUBCLI_DEBUG"):
            with contextlib.suppress(OSError):
                self._streams.write_error(printable(redact("".join(traceback.format_exception(error)), *secrets)))
        what = f"{type(error).__name__}: {redact(str(error), *secrets)}".rstrip(": ")
        hint = "Please report it with the output of `--debug`, which contains no secrets."
        return self._report(InternalError(f"subcli has a bug: {what}", hint=hint))

    def _resume_hint(self) -> str:
        """The options of a command line that fails before the command starts."""
        return exits.MAYBE_SUBMITTED if "submit" in self._arguments else ""


def _usage(error: Exception) -> UsageError:
    """Typer's error about the command line, in our format."""
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
        message = message.replace(f"is not a valid {kind}.", f"is not a valid {words}.")
    ending = "" if message.endswith((".", "?", "!")) else "."
    return UsageError(f"{message}{ending}", hint=hint)
