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
    "name", ["../secret", "{outside}", "link", "linked-directory/secret", "linked-directory", ".."]
)
def test_project_files_stay_inside(tmp_path: Path, name: str) -> None:
    """Neither dots, nor an absolute path, nor a link leads out of the project."""
    (tmp_path / "secret").write_text("the private key")
    root = tmp_path / "project"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "linked-directory").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="is outside"):
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


def test_reading_stops_at_the_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`subcli submit ~` ends at the limit, not when the memory is full; hidden directories are not even listed."""
    for number in range(50):
        (tmp_path / f"{number:02}.py").write_bytes(b"x" * 100_000)
    read: list[Path] = []
    original = Path.open

    def recording_open(path: Path, *args: Any, **kwargs: Any) -> Any:
        read.append(path)
        return original(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", recording_open)
    with pytest.raises(UsageError, match="larger than 256 KiB"):
        read_source([str(tmp_path)])
    assert len([path for path in read if path.suffix == ".py"]) == 3


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


def test_scheme_in_upper_case(tmp_path: Path) -> None:
    """`HTTPS://` is https."""
    assert settings(tmp_path, server="HTTPS://a.example").ws_url == "wss://a.example/ws"


def test_paths_that_cannot_be_examined(tmp_path: Path) -> None:
    """Where even stat() fails, a project file is skipped and the user's file is named in an error."""
    impossible = tmp_path / ("a" * 300)
    assert load({}, {}, impossible, None).project_dir is None
    with pytest.raises(UsageError, match="cannot be read"):
        load({}, {}, tmp_path, impossible)
