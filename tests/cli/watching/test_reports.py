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
        (RuntimeError("secret"), "subcli has a bug: RuntimeError."),
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


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A stranger's repository, beside files of ours."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "profile").write_text("mine")
    here = tmp_path / "checkout"
    (here / ".git" / "hooks").mkdir(parents=True)
    (here / "build").mkdir()
    return here


@pytest.mark.parametrize(
    ("link", "target", "name"),
    [
        ("results.xml", "../mine/profile", "results.xml"),
        ("results.xml", "../mine/new", "results.xml"),
        ("results.xml", "/dev/full", "results.xml"),
        ("results.xml", ".git/hooks/post-checkout", "results.xml"),
        ("reports", "../mine", "reports/profile"),
        ("reports", "../mine", "reports/deep/new.xml"),
        ("reports", "build/../..", "reports/mine/profile"),
    ],
)
def test_link_in_the_repository(checkout: Path, link: str, target: str, name: str) -> None:
    """It does not choose what is overwritten: refused before anything is submitted."""
    (checkout / link).symlink_to(target)
    with pytest.raises(UsageError), junit_report(checkout / name, captured(checkout).streams):
        raise AssertionError("not reached")
    assert [path.name for path in (checkout.parent / "mine").iterdir()] == ["profile"]
    assert (checkout.parent / "mine" / "profile").read_text() == "mine"
    assert list((checkout / ".git" / "hooks").iterdir()) == []


def test_link_made_while_judging(checkout: Path) -> None:
    """What is built at that time may be a stranger's as well."""
    here = captured(checkout)
    with junit_report(checkout / "results.xml", here.streams):
        (checkout / "results.xml").symlink_to("../mine/profile")
    assert (checkout.parent / "mine" / "profile").read_text() == "mine"
    assert "leads through a link out of" in here.err.getvalue()


def test_links_that_are_followed(checkout: Path) -> None:
    """Those within the repository, and those of the user."""
    (checkout / "results.xml").symlink_to("build/results.xml")
    (checkout.parent / "latest.xml").symlink_to("mine/results.xml")
    for path, written in (("results.xml", "build/results.xml"), ("../latest.xml", "../mine/results.xml")):
        with junit_report(checkout / path, captured(checkout).streams):
            pass
        assert "testsuites" in (checkout / written).read_text()
    assert (checkout / "results.xml").is_symlink()
