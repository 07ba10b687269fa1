"""``--junit-xml``: the report is always written, even after usage errors and Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from subcli.cli.common import now
from subcli.cli.streams import Streams
from subcli.core.errors import InternalError, InterruptedByUser, SubcliError, UsageError

if TYPE_CHECKING:
    from subcli.output.view import View


@contextmanager
def junit_report(path: Path | None, streams: Streams) -> Iterator[list[View]]:
    """Write ``path`` at the end. Yields the views to pass everything to: none without a path.

    Raises:
        UsageError: The file cannot be written. Raised before anything is submitted.
    """
    if path is None:
        yield []
        return
    from subcli.output import junit
    from subcli.output.terminal.report import report as tell
    from subcli.workspace.links import check_written

    cwd = streams.cwd or Path()
    check_written(path, cwd)
    junit.check_path(path)
    report = junit.JunitView(now())
    try:
        yield [report]
    except SubcliError as error:
        report.fault(error)
        raise
    except BaseException as error:
        report.fault(_unforeseen(error))
        raise
    finally:
        # The verdict still decides the exit code (contract, section 1).
        try:
            # Check again: judging took a while.
            check_written(path, cwd)
            junit.write(path, report.document())
        except (UsageError, OSError) as error:
            tell(_not_written(path, error), streams.stderr, streams.env)


def _not_written(path: Path, error: UsageError | OSError) -> UsageError:
    if isinstance(error, UsageError):
        return error
    return UsageError(f"{path} could not be written: {error.strerror or error}.", hint="Name another file.")


def _unforeseen(error: BaseException) -> SubcliError:
    if isinstance(error, Exception):
        return InternalError(f"subcli has a bug: {type(error).__name__}.")
    return InterruptedByUser("Interrupted.")
