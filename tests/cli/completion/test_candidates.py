"""What TAB offers: names that ordinary commands have seen on the server that this command line would use."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from subcli.cli.completion.candidates import candidates
from subcli.core.errors import UsageError
from subcli.workspace.completion_cache import KEPT_S, MAX_LENGTH, MAX_NAMES, CompletionCache, cache_directory

USER_FILE = """
server = "http://user.example/"
[profiles.work]
server = "Http://work.example"
[profiles.'$(touch pwned)']
"""


@pytest.fixture
def cache(tmp_path: Path) -> CompletionCache:
    """Of one server, empty."""
    return CompletionCache("http://a.example", tmp_path / "names")


def test_names_are_plain_words(cache: CompletionCache) -> None:
    """What a shell might take for anything but a word is neither stored nor offered."""
    good = ["lru-cache", "a.b_c", "7", 8]
    bad = ["$(id)", "`id`", "a b", "a;b", "", "-rf", "é", "a\nb", "x" * (MAX_LENGTH + 1)]
    cache.keep("problems", [*good, *bad])
    assert cache.names("problems") == ["lru-cache", "a.b_c", "7", "8"]


def test_cache_is_private_and_bounded(cache: CompletionCache, tmp_path: Path) -> None:
    """Mode 0600, nothing left beside it, never more than so many names."""
    cache.keep("ids", range(10 * MAX_NAMES))
    cache.add(ids=99999)
    (path,) = (tmp_path / "names").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    names = cache.names("ids")
    assert names[:2] == ["99999", "0"]
    assert len(names) == MAX_NAMES


def test_cache_belongs_to_one_server(cache: CompletionCache, tmp_path: Path) -> None:
    """Another server's file is not read, even where both have the same name."""
    cache.keep("ids", [1])
    (path,) = (tmp_path / "names").glob("*.json")
    other = CompletionCache("http://b.example", tmp_path / "names")
    assert other.names("ids") == []
    other.keep("ids", [2])
    (theirs,) = set((tmp_path / "names").glob("*.json")) - {path}
    theirs.replace(path)
    assert cache.names("ids") == []


@pytest.mark.parametrize("at", ["1" + "0" * 400, "1e308", "NaN", '"now"', "null", "[]"])
def test_damaged_cache(cache: CompletionCache, tmp_path: Path, at: str) -> None:
    """It offers nothing, and the next command mends it."""
    cache.keep("ids", [1])
    (path,) = (tmp_path / "names").glob("*.json")
    path.write_text('{"server": "http://a.example", "ids": [%s, ["1"]]}' % at)  # noqa: UP031
    assert cache.names("ids") == []
    cache.add(ids=2)
    assert cache.names("ids") == ["2"]


def test_old_names_are_not_offered(cache: CompletionCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no command has refreshed for a month; a clock that was put back counts as old too."""
    cache.keep("ids", [1])
    now = time.time()
    for later, names in ((KEPT_S - 60, ["1"]), (KEPT_S + 60, []), (-3600, [])):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        assert cache.names("ids") == names


@pytest.mark.parametrize("content", ["", "{", "[]", '{"server": "http://a.example", "ids": [1]}', "[" * 100000])
def test_broken_cache(cache: CompletionCache, tmp_path: Path, content: str) -> None:
    """A file that is not ours counts as none, and is replaced."""
    cache.keep("ids", [1])
    (path,) = (tmp_path / "names").glob("*.json")
    path.write_text(content)
    assert cache.names("ids") == []
    cache.keep("ids", [2])
    assert cache.names("ids") == ["2"]


def remember(*servers: str) -> None:
    """Each server has one problem, of its own name."""
    for server in servers:
        CompletionCache(server, cache_directory()).keep("problems", [server.partition("://")[2]])


@pytest.fixture
def user_file(home: Path) -> Path:
    """The user's settings: a server, and a profile with another."""
    path = home / ".config/subcli/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(USER_FILE)
    return path


@pytest.mark.usefixtures("user_file")
@pytest.mark.parametrize(
    ("words", "env", "server"),
    [
        ([], {}, "user.example"),
        (["--server", "http://flag.example/"], {}, "flag.example"),
        (["--server='http://flag.example'", "--profile", "work"], {}, "flag.example"),
        (["--profile=work"], {}, "work.example"),
        ([], {"SUBCLI_PROFILE": "work"}, "work.example"),
        ([], {"SUBCLI_SERVER": "HTTP://var.example"}, "var.example"),
    ],
)
def test_names_of_the_server_that_the_command_would_use(
    home: Path, words: list[str], env: dict[str, str], server: str
) -> None:
    """The settings decide, by the same resolver as for the command itself."""
    remember("http://user.example", "http://flag.example", "http://work.example", "http://var.example")
    assert candidates("problems", ["submit", *words], env, home) == [server]


@pytest.mark.usefixtures("user_file")
def test_settings_that_cannot_be_used(home: Path) -> None:
    """An unknown profile, or a stranger's project that names a server: the caller offers nothing."""
    remember("http://user.example")
    with pytest.raises(UsageError):
        candidates("problems", ["--profile", "nobody"], {}, home)
    (home / ".subcli.toml").write_text('server = "http://user.example.evil"\n')
    with pytest.raises(UsageError):
        candidates("problems", [], {}, home)


@pytest.mark.usefixtures("user_file")
def test_profiles(home: Path) -> None:
    """Those with a plain name."""
    assert candidates("profiles", [], {}, home) == ["work"]


def test_nothing_known(home: Path) -> None:
    """No cache, no settings file, a kind from the future."""
    assert candidates("ids", [], {}, home) == []
    assert candidates("profiles", [], {}, home) == []
    remember("http://127.0.0.1:8000")
    assert candidates("colours", [], {}, home) == []
    assert candidates("ids", [], {}, home) == []
