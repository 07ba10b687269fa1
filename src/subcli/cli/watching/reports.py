"""``--junit-xml``: a file with the results is there whatever happens, usage errors and Ctrl-C included."""

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
    """Write ``path`` at the end. Gives the views that are to be told what happens: none without a path.

    Raises:
        UsageError: the file cannot be written, seen before anything was handed in.
    """
    if path is None:
        yield []
        return
    from subcli.output import junit
    from subcli.output.terminal.report import report as tell

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
        try:
            junit.write(path, report.document())
        except OSError as error:
            # The verdict decides the exit code all the same (contract, section 1).
            failure = UsageError(f"{path} could not be written: {error.strerror or error}.", hint="Name another file.")
            tell(failure, streams.stderr, streams.env)


def _unforeseen(error: BaseException) -> SubcliError:
    if isinstance(error, Exception):
        return InternalError(f"subcli has a fault: {type(error).__name__}.")
    return InterruptedByUser("Interrupted.")
