"""A project from a stranger cannot make subcli read or send anything that the user did not mean to give."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from subcli.core.errors import UsageError
from subcli.settings.config import Settings, load
from subcli.workspace.source import read_source

A, B = "https://a.example", "https://b.example"


def settings(
    tmp_path: Path,
    *,
    project: str = "",
    user: str = "",
    server: str | None = None,
    profile: str | None = None,
    known_servers: Sequence[str] = (),
) -> Settings:
    """The settings in a directory with these two files, and a token from a variable."""
    (tmp_path / ".subcli.toml").write_text(project)
    (tmp_path / "user.toml").write_text(user)
    return load(
        {"server": server},
        {"SUBCLI_TOKEN": "abcdefgh"},
        tmp_path,
        tmp_path / "user.toml",
        profile=profile,
        known_servers=known_servers,
    )


# -- files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../secret", "is outside"),
        ("{outside}", "is outside"),
        ("..", "is outside"),
        ("link", "a link to a file outside"),
        ("linked-directory/secret", "a link to a directory outside"),
        ("linked-directory/../secret", "a link to a directory outside"),
        ("linked-directory", "a link to a directory outside"),
        (".env", "is hidden"),
        (".git/config", "is hidden"),
        ("x/../.env", "is hidden"),
        ("sub/.env", "is hidden"),
        (".", "a link to .env, which is hidden"),
        ("to-env.py", "a link to .env, which is hidden"),
        ("ignored.py", "is ignored by git"),
        ("private/a.py", "is ignored by git"),
        ("private", "is ignored by git"),
        ("sub/nested.py", "is ignored by git"),
        ("pipe", "is not a regular file"),
    ],
)
def test_project_files_stay_inside(tmp_path: Path, name: str, why: str) -> None:
    """Neither dots, nor an absolute path, nor a link leads out of the project or to what is private in it."""
    (tmp_path / "secret").write_text("the private key")
    root = tmp_path / "project"
    for path in (".env", ".git/config", "ignored.py", "private/a.py", "sub/.env", "sub/nested.py", "x/a.py"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("# x")
    (root / ".gitignore").write_text("ignored.py\nprivate/\nlink*\n")
    (root / "sub" / ".gitignore").write_text("nested.py\n")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "to-env.py").symlink_to(".env")
    (root / "linked-directory").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    with pytest.raises(UsageError, match=why):
        read_source([name.format(outside=tmp_path / "secret")], root=root)


def test_links_stay_inside_a_directory(tmp_path: Path) -> None:
    """A link that stays inside is followed; one that leads out is an error that names it."""
    (tmp_path / "secret").write_text("the private key")
    code = tmp_path / "code"
    code.mkdir()
    (code / "a.py").write_text("x")
    (code / "b.py").symlink_to("a.py")
    assert list(read_source([str(code)]).files) == ["a.py", "b.py"]
    (code / "c.py").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match=r"c\.py is a link"):
        read_source([str(code)])
    assert list(read_source([str(code)], follow_links=True).files) == ["a.py", "b.py", "c.py"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of a stranger, the working directory; a secret lies outside, another inside."""
    (tmp_path / "secret").write_text("the private key")
    top = tmp_path / "repository"
    for path in (".git/config", "src/common.py", "a/node.py", "token.txt"):
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text("# x")
    (top / ".gitignore").write_text("token.txt\n")
    monkeypatch.chdir(top)
    return top


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("../secret", "link.py"),
        ("../secret", "{top}/link.py"),
        ("../secret", "a/../link.py"),
        ("..", "link.py/secret"),
        ("..", "link.py"),
        ("/proc/self/environ", "link.py"),
        ("hop.py", "link.py"),
        (".git/config", "link.py"),
        (".git", "link.py/config"),
        ("token.txt", "link.py"),
    ],
)
def test_named_link_does_not_lead_out_of_the_working_tree(checkout: Path, target: str, named: str) -> None:
    """What the command line names is meant, but not what a stranger put behind the name."""
    (checkout / "hop.py").symlink_to("../secret")
    (checkout / "link.py").symlink_to(target)
    path = named.format(top=checkout)
    for cwd in (checkout, checkout / "a"):
        os.chdir(cwd)
        with pytest.raises(UsageError, match="is a link to") as caught:
            read_source([os.path.join(os.path.relpath(checkout), path)])
        assert "--follow-links" in caught.value.hint
    os.chdir(checkout)
    if target in ("../secret", "token.txt", "hop.py"):
        assert next(iter(read_source([path], follow_links=True).files.values())) in ("the private key", "# x")


def test_named_files_and_links_within_the_working_tree_are_read(checkout: Path) -> None:
    """The repository is the tree, not the directory in it; what is named itself may be hidden, ignored or outside."""
    (checkout / "a" / "common.py").symlink_to("../src/common.py")
    os.chdir(checkout / "a")
    assert read_source(["common.py"]).origin("x") == "common.py"
    assert set(read_source(["."]).files) == {"common.py", "node.py"}
    for path in ("../token.txt", "../.git/config", "../../secret", str(checkout.parent / "secret")):
        assert len(read_source([path]).files) == 1


def test_tree_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory of the project file is the tree, else the working directory."""
    (tmp_path / "shared.py").write_text("x = 1")
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "a.py").symlink_to("../../shared.py")
    monkeypatch.chdir(tmp_path)
    assert list(read_source(["project/src/a.py"]).files) == ["shared.py"]
    (project / ".subcli.toml").write_text("")
    with pytest.raises(UsageError, match=r"outside .*project"):
        read_source(["project/src/a.py"])
    monkeypatch.chdir(project / "src")
    (project / ".subcli.toml").unlink()
    with pytest.raises(UsageError, match=r"outside .*src"):
        read_source(["a.py"])


@pytest.mark.parametrize("name", ["pipe", "/dev/null", "/dev/zero"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """A FIFO that nobody writes to does not hang; a device has no end."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is not a regular file"):
        read_source([str(tmp_path / name)])


def test_reading_stops_at_the_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`subcli submit ~` ends at the limit, not when the memory is full; hidden directories are not even listed."""
    for number in range(50):
        (tmp_path / f"{number:02}.py").write_bytes(b"x" * 100_000)
    read: list[str] = []
    original = os.open

    def recording_open(path: str, *args: Any, **kwargs: Any) -> int:
        read.append(os.fspath(path))
        return original(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", recording_open)
    with pytest.raises(UsageError, match="larger than 256 KiB"):
        read_source([str(tmp_path)])
    assert len([path for path in read if path.endswith(".py")]) == 3


def test_invalid_file_names(tmp_path: Path) -> None:
    """A NUL (TOML can express it) and a name that is not UTF-8 are usage errors."""
    with pytest.raises(UsageError, match="is not a valid file name"):
        read_source(["a\0b"], root=tmp_path)
    (tmp_path / os.fsdecode(b"a\xff.py")).write_text("x")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_source([str(tmp_path)])


# -- tokens -------------------------------------------------------------------------------------------


def test_token_from_a_variable_is_not_sent_to_a_server_that_only_has_a_login(tmp_path: Path) -> None:
    """The project names B, which has a login: that login is used, and not SUBCLI_TOKEN, which is for A."""
    found = settings(tmp_path, project=f'server = "{B}"', user=f'server = "{A}"', known_servers=[B])
    assert found.server == B
    assert found.token is None
    assert settings(tmp_path, project=f'server = "{B}"', user=f'server = "{B}"').token is not None


def test_server_without_scheme_in_the_user_file(tmp_path: Path) -> None:
    """`server = "127.0.0.1:9"` in the user file names that server as well."""
    found = settings(tmp_path, project='server = "http://127.0.0.1:9"', user='server = "127.0.0.1:9"')
    assert found.server == "http://127.0.0.1:9"


@pytest.mark.parametrize("top", [f'server = "{A}"\n', ""])
def test_profile_with_its_own_server_ignores_the_paths_of_the_top_level(tmp_path: Path, top: str) -> None:
    """The top level's WebSocket address belongs to the top level's server: B's token does not go there."""
    user = f'{top}ws_url = "wss://a.example/ws"\napi_path = "/of-a"\n[profiles.b]\nserver = "{B}"'
    found = settings(tmp_path, user=user, profile="b")
    assert (found.server, found.ws_url, found.api_path) == (B, "wss://b.example/ws", "/api")


# -- invalid values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "project",
    [
        "files = " + "[" * 20_000,
        "problem = " + "9" * 6_000,
        'api_path = "/\\u0000x"',
        'api_path = "/x?y="',
        'api_path = "/x y"',
        "#" * 100_000,
    ],
)
def test_invalid_project_files(tmp_path: Path, project: str) -> None:
    """Whatever the file contains, it is a usage error and not an internal one."""
    with pytest.raises(UsageError):
        settings(tmp_path, project=project)


@pytest.mark.parametrize(
    "server",
    [
        "https://ex ample",
        "https://a.example/\udcff",
        "https://a\n.example",
        "https://a.example\\.b.example",
        "http://xn--:1",
    ],
)
def test_invalid_server_addresses(tmp_path: Path, server: str) -> None:
    """Addresses on which the libraries disagree or fail are refused."""
    with pytest.raises(UsageError, match="not a valid server address"):
        settings(tmp_path, server=server)


@pytest.mark.parametrize("name", ["SERVER", "API_PATH", "WS_URL", "PROBLEM", "LANGUAGE", "PROFILE"])
def test_variables_that_are_not_text(tmp_path: Path, name: str) -> None:
    """No server and no file of ours can hold them."""
    with pytest.raises(UsageError, match=f"SUBCLI_{name} is not valid text"):
        load({}, {f"SUBCLI_{name}": os.fsdecode(b"a\xff")}, tmp_path, None)


def test_scheme_in_upper_case(tmp_path: Path) -> None:
    """`HTTPS://` is https."""
    assert settings(tmp_path, server="HTTPS://a.example").ws_url == "wss://a.example/ws"


def test_settings_that_are_there_and_cannot_be_read(tmp_path: Path) -> None:
    """A link that leads nowhere, or to itself, and a directory; a link to /dev/null is the way to have none."""
    for name, target in (("gone", "nowhere"), ("loop", "loop"), ("null", os.devnull)):
        (tmp_path / name).symlink_to(target)
    for path in (tmp_path / "gone", tmp_path / "loop", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            load({}, {}, tmp_path, path)
    assert load({}, {}, tmp_path, tmp_path / "null").server


def test_paths_that_cannot_be_examined(tmp_path: Path) -> None:
    """Where even stat() fails, a project file is skipped and the user's file is named in an error."""
    impossible = tmp_path / ("a" * 300)
    assert load({}, {}, impossible, None).project_dir is None
    with pytest.raises(UsageError, match="cannot be read"):
        load({}, {}, tmp_path, impossible)
