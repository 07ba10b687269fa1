"""What a project file or a directory from a stranger cannot do: read elsewhere, or send a token elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from subcli.core.errors import UsageError
from subcli.settings.config import Settings, load
from subcli.settings.files import add_profile
from subcli.workspace.source import read_source

A, B = "https://a.example", "https://b.example"


def settings(
    tmp_path: Path, *, project: str = "", user: str = "", server: str | None = None, **given: object
) -> Settings:
    """The settings in a directory with these two files."""
    (tmp_path / ".subcli.toml").write_text(project)
    (tmp_path / "user.toml").write_text(user)
    flags = {"server": server}
    return load(flags, {"SUBCLI_TOKEN": "abcdefgh"}, tmp_path, tmp_path / "user.toml", **given)  # type: ignore[arg-type]


# -- files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../secret", "{outside}", "link", "linked-directory/secret", "linked-directory", ".."]
)
def test_project_files_stay_inside(tmp_path: Path, name: str) -> None:
    """Neither dots, nor a whole path, nor a link leads out of the project."""
    (tmp_path / "secret").write_text("the private key")
    root = tmp_path / "project"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "linked-directory").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="not below"):
        read_source([name.format(outside=tmp_path / "secret")], root=root)


def test_links_inside_a_directory(tmp_path: Path) -> None:
    """A link that stays inside is followed, one that leads out ends it, naming the link."""
    (tmp_path / "secret").write_text("the private key")
    code = tmp_path / "code"
    code.mkdir()
    (code / "a.py").write_text("x")
    (code / "b.py").symlink_to("a.py")
    assert list(read_source([str(code)]).files) == ["a.py", "b.py"]
    (code / "c.py").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match=r"c\.py is a link"):
        read_source([str(code)])


def test_large_directory_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`subcli submit ~` ends at the limit, not when the memory is full; hidden directories are not even listed."""
    for number in range(50):
        (tmp_path / f"{number:02}.py").write_bytes(b"x" * 100_000)
    read: list[Path] = []
    whole = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *mode, **more: (read.append(path), whole(path, *mode, **more))[1])
    with pytest.raises(UsageError, match="larger than 256 KiB"):
        read_source([str(tmp_path)])
    assert len([path for path in read if path.suffix == ".py"]) == 3


def test_names_that_are_none(tmp_path: Path) -> None:
    """A NUL (TOML can say it) and bytes that are no UTF-8 are usage errors."""
    with pytest.raises(UsageError, match="no name of a file"):
        read_source(["a\0b"], root=tmp_path)
    (tmp_path / os.fsdecode(b"a\xff.py")).write_text("x")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_source([str(tmp_path)])


# -- tokens -------------------------------------------------------------------------------------------


def test_variable_token_stays_away_from_a_server_only_logged_in_to(tmp_path: Path) -> None:
    """The project names B, where a login is on record: that login counts, not SUBCLI_TOKEN, which is for A."""
    found = settings(tmp_path, project=f'server = "{B}"', user=f'server = "{A}"', known_servers=[B])
    assert found.server == B
    assert found.token is None
    assert settings(tmp_path, project=f'server = "{B}"', user=f'server = "{B}"').token is not None


def test_server_in_the_user_file_without_scheme(tmp_path: Path) -> None:
    """`server = "127.0.0.1:9"` in the user file names that server as well."""
    found = settings(tmp_path, project='server = "http://127.0.0.1:9"', user='server = "127.0.0.1:9"')
    assert found.server == "http://127.0.0.1:9"


@pytest.mark.parametrize("top", [f'server = "{A}"\n', ""])
def test_profile_with_a_server_of_its_own(tmp_path: Path, top: str) -> None:
    """The top level's WebSocket address belongs to the top level's server: B's token does not go there."""
    user = f'{top}ws_url = "wss://a.example/ws"\napi_path = "/of-a"\n[profiles.b]\nserver = "{B}"'
    found = settings(tmp_path, user=user, profile="b")
    assert (found.server, found.ws_url, found.api_path) == (B, "wss://b.example/ws", "/api")


# -- odd texts ----------------------------------------------------------------------------------------


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
def test_odd_project_files(tmp_path: Path, project: str) -> None:
    """Whatever stands there: a usage error, not a fault of ours."""
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
def test_odd_servers(tmp_path: Path, server: str) -> None:
    """Addresses that the libraries read in different ways, or choke on."""
    with pytest.raises(UsageError, match="no address of a server"):
        settings(tmp_path, server=server)


def test_scheme_in_capitals(tmp_path: Path) -> None:
    """`HTTPS://` is https."""
    assert settings(tmp_path, server="HTTPS://a.example").ws_url == "wss://a.example/ws"


def test_files_that_cannot_be_looked_at(tmp_path: Path) -> None:
    """No traceback where even the look fails: above us it is passed over, the user's own is named."""
    impossible = tmp_path / ("a" * 300)
    assert load({}, {}, impossible, None).project_dir is None
    with pytest.raises(UsageError, match="cannot be read"):
        load({}, {}, tmp_path, impossible)


def test_profiles_that_are_none(tmp_path: Path) -> None:
    """`profiles = 3` is named when one is to be added."""
    (tmp_path / "user.toml").write_text("profiles = 3\n")
    with pytest.raises(UsageError, match="not a table"):
        add_profile(tmp_path / "user.toml", "x", A)
