"""How a test on several nodes failed: fetched from the server, and shown as a ladder, in sentences or as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.core.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from subcli.cli.watching.local import LocalSession
    from subcli.client.client import Client
    from subcli.shared.run_trace import RunTrace

_NAMED_MAX: Final = 10
_SHOWN_MAX: Final = 3
_PASSED: Final = ("passed", "skipped")


def test_named(tests: Sequence[Mapping[str, Any]], name: str, submission_id: int) -> Mapping[str, Any]:
    """The result of the test with this id or name.

    Raises:
        NotFoundError: There is none, or several have that name.
    """
    for is_meant in (
        lambda test: str(test.get("test_id")) == name,
        lambda test: test.get("test_name") == name,
        lambda test: str(test.get("test_name")).casefold() == name.casefold(),
    ):
        found = [test for test in tests if is_meant(test)]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(str(test.get("test_id")) for test in found[:_NAMED_MAX])
            raise NotFoundError(f"Several tests are called {name!r}.", hint=f"Name one by its id: {ids}.")
    known = ", ".join(str(test.get("test_name")) for test in tests[:_NAMED_MAX])
    hint = f"There are: {known}." if known else ""
    raise NotFoundError(f"Submission {submission_id} has no result of a test {name!r}.", hint=hint)


def failed_with_trace(tests: Sequence[Mapping[str, Any]], submission_id: int) -> list[Mapping[str, Any]]:
    """The failed tests of which the server has kept how they failed.

    Raises:
        NotFoundError: There are none.
    """
    found = [test for test in tests if test.get("has_trace") is True and test.get("status") not in _PASSED]
    if not found:
        raise NotFoundError(
            f"Submission {submission_id} has no failed test with a trace.",
            hint="Only failures on several nodes have one; `subcli status ID` shows the others.",
        )
    return found


async def fetch_trace(client: Client, submission_id: int, test: Mapping[str, Any], run: int | None = None) -> RunTrace:
    """The trace of a test.

    Args:
        run: the number of the run that its result is of; ``None``: the latest.

    Raises:
        SubcliError: The server has none.
    """
    name = str(test.get("test_name"))
    if test.get("has_trace") is not True:
        raise NotFoundError(f"There is no trace of {name!r}.", hint="Only failures on several nodes have one.")
    test_id = test.get("test_id")
    return await client.api.run_trace(submission_id, name if test_id is None else str(test_id), run)


def show_diagram(
    streams: Streams, trace: RunTrace, test: Mapping[str, Any], submission_id: int, *, plain: bool, json: bool
) -> None:
    """Print how a test failed.

    Args:
        streams: stdout's width and colours are followed.
        trace: its course.
        test: its result.
        submission_id: the submission.
        plain: sentences instead of a ladder.
        json: the trace itself.
    """
    if json:
        import msgspec

        test_id = test.get("test_id")
        ours = {"submission_id": submission_id, "test_id": None if test_id is None else str(test_id)}
        fields = msgspec.to_builtins(trace)
        streams.print_json({"trace": {**ours, "test_name": str(test.get("test_name")), **fields}})
        return
    from subcli.output.pages.diagram import diagram_page

    streams.console().print(diagram_page(trace, str(test.get("test_name")), plain=plain), soft_wrap=True)


def show_diagrams(common: Common, streams: Streams, session: LocalSession) -> None:
    """Print how tests have failed on this machine: the first ones, if they are many. In JSON, the results say it."""
    if common.json or common.quiet:
        return
    from subcli.output.pages.diagram import diagram_page

    for test_id, trace in list(session.traces.items())[:_SHOWN_MAX]:
        streams.write("\n")
        streams.console().print(diagram_page(trace, session.names.get(test_id, test_id)), soft_wrap=True)


def write_svg(streams: Streams, path: Path, trace: RunTrace, test: Mapping[str, Any], submission_id: int) -> None:
    """Write the picture of a failure.

    Raises:
        UsageError: The file cannot be written.
    """
    from subcli.output.space_time import space_time
    from subcli.shared.files import write_atomically
    from subcli.workspace.links import check_written

    check_written(path, streams.cwd or Path())
    text = space_time(trace, f"{test.get('test_name')} (submission {submission_id})")
    try:
        write_atomically((streams.cwd or Path()) / path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise UsageError(
            f"{path} could not be written: {error.strerror or error}.", hint="Name another file."
        ) from None
