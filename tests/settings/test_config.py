"""The order of the sources of settings, and what each of them may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from subcli.core.errors import UsageError
from subcli.settings.config import Settings, load

A, B = "https://a.example", "https://b.example"


def resolve(
    directory: Path,
    *,
    flags: Mapping[str, str | None] | None = None,
    env: dict[str, str] | None = None,
    project: str | None = None,
    user: str | None = None,
    profile: str | None = None,
    known_servers: tuple[str, ...] = (),
    pasted_server: str | None = None,
) -> Settings:
    """The settings in ``directory`` with these sources."""
    user_file = directory / "user.toml"
    if user is not None:
        user_file.write_text(user)
    if project is not None:
        (directory / ".subcli.toml").write_text(project)
    return load(
        flags or {},
        env or {},
        directory,
        user_file,
        profile=profile,
        known_servers=known_servers,
        pasted_server=pasted_server,
    )


def test_defaults(tmp_path: Path) -> None:
    """Without any source, the server is the one of `subcli serve` on this machine."""
    found = resolve(tmp_path)
    assert (found.server, found.server_origin) == ("http://127.0.0.1:8000", "default")
    assert (found.api_url, found.ws_url) == ("http://127.0.0.1:8000/api", "ws://127.0.0.1:8000/ws")
    assert (found.problem, found.language, found.files, found.project_dir) == (None, None, (), None)


def test_stronger_sources_win(tmp_path: Path) -> None:
    """Flag, variable, project file, profile, user file: each in turn decides when those before it say nothing."""
    user = 'problem = "user"\n[profiles.p]\nproblem = "profile"'
    project, env, flags = 'problem = "project"', {"SUBCLI_PROBLEM": "variable"}, {"problem": "flag"}
    for expected in ("flag", "variable", "project", "profile", "user"):
        found = resolve(
            tmp_path,
            flags=flags if expected == "flag" else {"problem": ""},
            env=env if expected in ("flag", "variable") else {"SUBCLI_PROBLEM": ""},
            project=project if expected in ("flag", "variable", "project") else "",
            user=user,
            profile=None if expected == "user" else "p",
        )
        assert found.problem == expected


def test_profile_from_the_variable(tmp_path: Path) -> None:
    """SUBCLI_PROFILE chooses a profile; `--profile` overrides it."""
    user = f'[profiles.a]\nserver = "{A}"\n[profiles.b]\nserver = "{B}"'
    assert resolve(tmp_path, user=user, env={"SUBCLI_PROFILE": "a"}).server == A
    assert resolve(tmp_path, user=user, env={"SUBCLI_PROFILE": "a"}, profile="b").server == B


def test_one_address_for_one_server(tmp_path: Path) -> None:
    """However it is spelled: logins, history and completions are stored by it."""
    for spelled in ("http://LOCALHOST:8000/", "localhost:8000", "HTTP://localhost:8000"):
        assert resolve(tmp_path, flags={"server": spelled}).server == "http://localhost:8000"
    found = resolve(tmp_path, flags={"server": "https://Bücher.example:443/judge/"})
    assert (found.server, found.ws_url) == (
        "https://xn--bcher-kva.example/judge",
        "wss://xn--bcher-kva.example/judge/ws",
    )
    # A project may name it differently from the user.
    project, user = 'server = "https://JUDGE.example:443"', 'server = "https://judge.example"'
    assert resolve(tmp_path, project=project, user=user).server == "https://judge.example"


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("r2---sn-j5caxn0g4.example", "r2---sn-j5caxn0g4.example"),
        ("тест.example:33", "xn--e1aybc.example:33"),
        (f"{'a' * 63}.example:8888", f"{'a' * 63}.example:8888"),
        ("my_judge.example", "my_judge.example"),
    ],
)
def test_unusual_hosts(host: str, sent: str, tmp_path: Path) -> None:
    """What a name server may have is an address, with a port as well."""
    found = resolve(tmp_path, flags={"server": f"https://{host}"})
    assert (found.server, found.ws_url) == (f"https://{sent}", f"wss://{sent}/ws")


def test_unknown_profile_names_those_that_exist(tmp_path: Path) -> None:
    """A misspelled profile is a usage error that suggests the right one."""
    with pytest.raises(UsageError, match="no profile 'wrok'") as caught:
        resolve(tmp_path, user="[profiles.work]\n[profiles.home]", profile="wrok")
    assert caught.value.hint == f"Did you mean `work`? Profiles in {tmp_path / 'user.toml'}: home, work."
    with pytest.raises(UsageError) as caught:
        resolve(tmp_path / "nowhere", profile="work")
    assert str(caught.value.hint).endswith(": none.")


def test_another_profile_may_be_invalid(tmp_path: Path) -> None:
    """Only the chosen profile is checked."""
    user = f'[profiles.good]\nserver = "{A}"\n[profiles.bad]\nsevrer = 3'
    assert resolve(tmp_path, user=user, profile="good").server == A
    with pytest.raises(UsageError, match=r"user\.toml:4: unknown key `profiles\.bad\.sevrer`"):
        resolve(tmp_path, user=user, profile="bad")


def test_project_files_are_relative_to_the_project(tmp_path: Path) -> None:
    """The project file of a directory above counts, and `files` are relative to where it is."""
    (tmp_path / ".subcli.toml").write_text('files = ["a.py", "b.py"]\nlanguage = "python"')
    (tmp_path / "below").mkdir()
    found = load({}, {}, tmp_path / "below", None)
    assert (found.files, found.language, found.project_dir) == (("a.py", "b.py"), "python", tmp_path)
    assert found.at_home is None


def test_project_with_tests_can_be_judged_at_home(tmp_path: Path) -> None:
    """Whatever problem a flag names, the tests are those of the file's problem."""
    (tmp_path / ".subcli.toml").write_text('problem = "lru-cache"\n[test]\nrunner = "tap"')
    assert load({"problem": "other"}, {}, tmp_path, None).at_home == "lru-cache"


@pytest.mark.parametrize(
    ("project", "message", "hint"),
    [
        (
            'x = 1\nserver = "a"',
            "1: unknown key `x`",
            "Known: server, api_path, ws_url, problem, language, files, test.",
        ),
        ('\nlangauge = "c"', "2: unknown key `langauge`", "Did you mean `language`?"),
        ("problem = 3", "1: `problem` must be a string that is not empty", 'For example: `problem = "..."`.'),
        ('problem = ""', "1: `problem` must be a string", "For example"),
        ('files = "a.py"', "1: `files` must be a list of file names", 'For example: `files = ["node.py"]`.'),
        ("files = []", "1: `files` must be a list of file names", "For example"),
        ('files = ["a.py", 3]', "1: `files` must be a list of file names", "For example"),
        ('ws_url = "wss://x/ws"', "1: `ws_url` is not allowed in a project file", "SUBCLI_WS_URL"),
        ("problem = lru-cache", ": not valid TOML: ", 'A setting is a line such as `problem = "lru-cache"`.'),
    ],
)
def test_invalid_project_file_is_explained(tmp_path: Path, project: str, message: str, hint: str) -> None:
    """The error names the file, the line, the key and what was expected, and the hint shows how to write it."""
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        resolve(tmp_path, project=project)
    assert str(caught.value).startswith(f"{tmp_path / '.subcli.toml'}:")
    assert hint in str(caught.value.hint)


def test_invalid_user_file_is_explained(tmp_path: Path) -> None:
    """The user's file is checked in the same way; it may name profiles, and no files."""
    with pytest.raises(UsageError, match=r"user\.toml:1: `profiles` must be a table"):
        resolve(tmp_path, user="profiles = 3")
    with pytest.raises(UsageError, match=r"user\.toml:1: unknown key `files`"):
        resolve(tmp_path, user='files = ["a"]')
    with pytest.raises(UsageError, match=r"user\.toml:2: `profiles\.x` must be a table"):
        resolve(tmp_path, user="[profiles]\nx = 3", profile="x")
    (tmp_path / "user.toml").write_bytes(b'problem = "\xff"')
    with pytest.raises(UsageError, match="not UTF-8"):
        resolve(tmp_path)


def test_server_of_a_project_must_be_known(tmp_path: Path) -> None:
    """A project's server is used if the user logged in to it or named it, in a profile too."""
    project = f'server = "{A}"'
    with pytest.raises(UsageError, match="which you have not used before") as caught:
        resolve(tmp_path, project=project)
    assert f"--server {A}" in str(caught.value.hint)
    assert resolve(tmp_path, project=project, known_servers=(A,)).server_origin == "project file"
    assert resolve(tmp_path, project=project, user=f'[profiles.x]\nserver = "{A}"').server_origin == "user file"
    assert resolve(tmp_path, project=project, user="", flags={"server": B}).server == B


def test_addresses_of_another_server_do_not_count(tmp_path: Path) -> None:
    """The user file's `ws_url` and `api_path` are those of its own server, so a flag with another one drops them."""
    user = f'server = "{A}"\nws_url = "wss://sockets.example/ws"\napi_path = "/v1"\nlanguage = "c"'
    own = resolve(tmp_path, user=user)
    assert (own.ws_url, own.api_url) == ("wss://sockets.example/ws", f"{A}/v1")
    other = resolve(tmp_path, user=user, flags={"server": B})
    assert (other.ws_url, other.api_url, other.language) == ("wss://b.example/ws", f"{B}/api", "c")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("SUBCLI_WS_URL", "https://a.example/ws", "not a valid WebSocket address"),
        ("SUBCLI_WS_URL", "wss://u:p@a.example/ws", "not a valid WebSocket address"),
        ("SUBCLI_WS_URL", "wss://a.example:99999/ws", "not a valid WebSocket address: its port is not a number"),
        ("SUBCLI_WS_URL", "wss:///ws", "not a valid WebSocket address: its host"),
        ("SUBCLI_WS_URL", "wss://a.example/ws?x", "not a valid WebSocket address: it has a part after"),
        ("SUBCLI_SERVER", "https://a.example?x", "a part after `\\?`"),
        ("SUBCLI_SERVER", "https://u:secret@a.example", "contains a user name or password"),
        ("SUBCLI_SERVER", "https://a.example:0", "not a valid server address: its port is not a number from 1 to"),
        ("SUBCLI_SERVER", "https://a.example:99999", "not a valid server address: its port is not a number"),
        ("SUBCLI_SERVER", "a.example:port", "not a valid server address: its port is not a number"),
        ("SUBCLI_SERVER", "https://a.example:-1/judge", "not a valid server address: its port is not a number"),
        ("SUBCLI_SERVER", "http://[::1", "not a valid server address: its host is not valid"),
        ("SUBCLI_SERVER", "https://", "not a valid server address: its host is not valid"),
        ("SUBCLI_SERVER", "https://a b", "not a valid server address: a space"),
        ("SUBCLI_SERVER", "ftp://a.example", "not a valid server address: it must begin with http:// or https://"),
        ("SUBCLI_API_PATH", "/a#b", "not a valid path"),
    ],
)
def test_invalid_addresses_in_variables(tmp_path: Path, key: str, value: str, message: str) -> None:
    """Variables are checked as strictly as files, and no password is repeated."""
    with pytest.raises(UsageError, match=message) as caught:
        resolve(tmp_path, env={key: value})
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_token_needs_encryption_to_another_machine(tmp_path: Path) -> None:
    """A token is not sent over plain http to another machine unless the user allows it."""
    flags, env = {"server": "http://a.example"}, {"SUBCLI_TOKEN": "abcdefgh"}
    with pytest.raises(UsageError, match="not encrypted"):
        resolve(tmp_path, flags=flags, env=env)
    assert resolve(tmp_path, flags=flags, env={**env, "SUBCLI_INSECURE_HTTP": "1"}).token is not None
    with pytest.raises(UsageError, match="not encrypted"):
        resolve(tmp_path, flags=flags, env={**env, "SUBCLI_INSECURE_HTTP": "0"})


def test_token_file(tmp_path: Path) -> None:
    """SUBCLI_TOKEN comes before SUBCLI_TOKEN_FILE; a file that is missing, binary or not a token is an error."""
    path = tmp_path / "token"
    path.write_text(" from-the-file \n")
    env = {"SUBCLI_SERVER": A, "SUBCLI_TOKEN_FILE": str(path)}
    found = resolve(tmp_path, env=env)
    assert found.token is not None
    assert (found.token.reveal(), found.token_origin) == ("from-the-file", "SUBCLI_TOKEN_FILE")
    assert resolve(tmp_path, env={**env, "SUBCLI_TOKEN": "x"}).token_origin == "SUBCLI_TOKEN"
    for content, message in ((b"two words", "not hold a valid token"), (b"\xff", "it is not text")):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=message):
            resolve(tmp_path, env=env)
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        resolve(tmp_path, env=env)
