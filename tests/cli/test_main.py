"""The command line as a function: options reach the run functions, and errors become exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from subcli.cli.common import submission
from subcli.cli.main import run
from subcli.cli.streams import Streams
from subcli.cli.watching import run as watching
from subcli.cli.watching.options import Options

WATCH = ["--timeout", "7", "--fail-fast", "--max-attempts", "3", "--compact", "--plain", "--notify"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the run functions of `submit` and `watch` were given, in place of running them."""
    found: list[tuple[Any, ...]] = []

    def keep(*given: Any, **_: Any) -> int:
        found.append(given)
        return 0

    monkeypatch.setattr(watching, "watch", keep)
    monkeypatch.setattr(watching, "submit", keep)
    return found


def options_of(call: tuple[Any, ...]) -> Options:
    """The options among the arguments."""
    (found,) = [each for each in call if isinstance(each, Options)]
    return found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("0.5", 0.5), ("2.5s", 2.5), ("5m", 300), ("1h30m", 5400), ("1h2m3s", 3723), ("1e3", 1000)],
)
def test_durations(calls: list[tuple[Any, ...]], text: str, seconds: float) -> None:
    """Seconds, or with the units that people write."""
    assert run(["watch", "1", "--timeout", text]) == 0
    assert options_of(calls[0]).timeout == seconds


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "", "5 m", "m", "h", "\u0663", "9" * 400])
def test_impossible_durations(calls: list[tuple[Any, ...]], text: str) -> None:
    """2, before anything is sent."""
    assert run(["watch", "1", "--timeout", text]) == 2
    assert not calls


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--problem", "caf\udce9"],
        ["list", "--server", "http://caf\udce9"],
        ["list", "--profile", "caf\udce9"],
        ["problems", "caf\udce9"],
        ["init", "caf\udce9"],
        ["submit", "a.py", "--language", "caf\udce9"],
        ["status", "caf\udce9"],
        ["watch", "caf\udce9"],
    ],
)
def test_names_that_are_not_unicode(words: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """2 and the name, in every command; no server can have such a name."""
    assert run([*words, "--json"]) == 2
    assert "caf\udce9" in json.loads(capsys.readouterr().out)["error"]["message"].replace("\\udce9", "\udce9")


@pytest.mark.parametrize("words", [["watch", "1", "2"], ["submit", "a.py", "--problem", "p"]])
def test_options_reach_the_loop(calls: list[tuple[Any, ...]], words: list[str], home: Path) -> None:
    """Every option that the two share."""
    (home / "a.py").write_text("x = 1\n")
    assert run([*words, *WATCH]) == 0
    options = options_of(calls[0])
    assert (options.timeout, options.fail_fast, options.max_attempts) == (7.0, True, 3)
    assert (options.compact, options.plain, options.notify) == (True, True, True)


@pytest.mark.parametrize("page", ["", "/tests", "/events?after_seq=3", "/", "#log"])
@pytest.mark.parametrize("where", ["", "/judge", "/api", "/judge/api"])
def test_pasted_urls(where: str, page: str) -> None:
    """The page of a submission or its REST resource: the server keeps its prefix, and the id is found."""
    found = submission(f"https://judge.example:8443{where}/submissions/12{page}")
    assert found == (f"https://judge.example:8443{where.removesuffix('/api')}", 12)


@pytest.mark.parametrize("name", ["status", "open", "cancel"])
def test_pasted_urls_reach_their_server(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As with `watch`; nobody listens there, and the message names the address."""
    assert run([name, "http://127.0.0.1:1/judge/api/submissions/12", "--json"]) == 6
    assert "127.0.0.1:1" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert run([name, "http://127.0.0.1:1/problems/12", "--json"]) == 2


def test_defaults(calls: list[tuple[Any, ...]]) -> None:
    """No timeout, all followed to their ends, five attempts."""
    assert run(["watch", "1"]) == 0
    options = options_of(calls[0])
    assert (options.timeout, options.fail_fast, options.max_attempts, options.after_seq) == (None, False, 5, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["watch", "1", "2", "--after-seq", "3"], "`--after-seq` needs exactly one id."),
        (["watch", "1", "2", "--run", "1"], "`--run` needs a single id."),
        (["watch", "http://a/submissions/1", "http://b/submissions/2"], "The URLs name several servers."),
        (["watch", "http://a/problems/1"], "'http://a/problems/1' is not the URL of a submission."),
        (["watch", "x"], "'x' is not a valid submission id."),
        (["watch", "--timeout", "soon"], "Invalid value for '--timeout': 'soon' is not a valid duration."),
        (["watch", "--max-attempts", "1.5"], "Invalid value for '--max-attempts': '1.5' is not a valid whole number."),
        (["watch", "--max-attempts", "-1"], "Invalid value for '--max-attempts': -1 is less than 0."),
        (["watch", "--after-seq", "9" * 5000], "Invalid value for '--after-seq': '9"),
        (["list", "--limit", "100001"], "Invalid value for '--limit': 100001 is more than 100000."),
        (["watch", "--tiemout", "3"], "There is no option --tiemout."),
        (["submit"], "Nothing to submit."),
        (["submit", "a.py"], "No problem given."),
        (["submit", "a.py", "--no-watch", "--junit-xml", "r.xml"], "`--junit-xml` needs the results, and"),
        (["list", "-q"], "`--json` and `--quiet` exclude each other."),
    ],
)
def test_usage_errors(words: list[str], message: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and one object on stdout that says what is wrong."""
    (home / "a.py").write_text("x = 1\n")
    assert run([*words, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "usage"
    assert error["message"].startswith(message)
    assert error["hint"]


def test_a_directory_that_is_gone(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what needs the directory complains about it."""
    gone = home / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    try:
        assert run(["schema"]) == 0
        assert run(["list"]) == 2
    finally:
        monkeypatch.chdir(home)
    assert "The current directory no longer exists." in capsys.readouterr().err


def test_fault_of_our_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An uncaught exception exits 3, without its secrets; the traceback is for `--debug`."""

    def fail(*_: object) -> int:
        raise RuntimeError("token tok-0123456789abcdef leaked")

    monkeypatch.setenv("SUBCLI_TOKEN", "tok-0123456789abcdef")
    monkeypatch.setattr(watching, "watch", fail)
    assert run(["watch", "1"]) == 3
    err = capsys.readouterr().err
    assert "error: subcli has a bug: RuntimeError: token" in err
    assert "tok-0123456789abcdef" not in err
    assert "Traceback" not in err
    assert run(["watch", "1", "--debug"]) == 3
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "tok-0123456789abcdef" not in err


@pytest.mark.parametrize(("words", "hint"), [(["submit", "a.py", "--problem", "p"], True), (["watch", "1"], False)])
def test_ctrl_c_outside_of_the_loop(
    words: list[str], hint: bool, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """130; after `submit` nobody knows what has arrived."""
    (home / "a.py").write_text("x = 1\n")

    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "watch", interrupted)
    monkeypatch.setattr(watching, "submit", interrupted)
    assert run(words) == 130
    assert ("The submission may not have arrived; `subcli list`" in capsys.readouterr().err) is hint


def test_theme_of_the_option_wins(
    calls: list[tuple[Any, ...]], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over the variable, for everything that this command colours; an unknown one is a usage error either way."""
    monkeypatch.setenv("SUBCLI_THEME", "high-contrast")
    assert run(["watch", "1", "--theme", "colour-blind"]) == 0
    (streams,) = [each for each in calls[0] if isinstance(each, Streams)]
    assert streams.env["SUBCLI_THEME"] == "colour-blind"
    assert run(["watch", "1", "--theme", "pink"]) == 2
    capsys.readouterr()
    monkeypatch.setenv("SUBCLI_THEME", "pink")
    assert run(["watch", "1"]) == 2
    assert capsys.readouterr().err == (
        "error: SUBCLI_THEME is 'pink', which is not a theme.\n"
        "hint:  Choose from default, high-contrast, colour-blind.\n"
    )
