"""`--junit-xml`: there is a report whatever happens, and it never changes the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from subcli.cli.watching.reports import junit_report
from subcli.core.errors import UsageError
from tests.cli.streams import captured


def test_no_path(tmp_path: Path) -> None:
    """No view is added."""
    with junit_report(None, captured(tmp_path).streams) as beside:
        assert beside == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UsageError("No problem given.", hint=""), "No problem given."),
        (RuntimeError("secret"), "subcli has a fault: RuntimeError."),
        (KeyboardInterrupt(), "Interrupted."),
    ],
)
def test_what_went_wrong(tmp_path: Path, error: BaseException, text: str) -> None:
    """The error stands in the file, and goes on its way."""
    path = tmp_path / "results.xml"
    with pytest.raises(type(error)), junit_report(path, captured(tmp_path).streams):
        raise error
    assert text in path.read_text()
    assert "secret" not in path.read_text()


def test_path_that_cannot_be_written(tmp_path: Path) -> None:
    """Noticed before anything is submitted."""
    with pytest.raises(UsageError), junit_report(tmp_path, captured(tmp_path).streams):
        raise AssertionError("not reached")


def test_directory_that_goes_away(tmp_path: Path) -> None:
    """The verdict decides the exit code all the same; stderr names the file."""
    here = captured(tmp_path)
    directory = tmp_path / "reports"
    directory.mkdir()
    with junit_report(directory / "results.xml", here.streams):
        directory.rmdir()
    assert f"error: {directory / 'results.xml'} could not be written" in here.err.getvalue()
