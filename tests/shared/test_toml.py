"""Reading TOML files: what an error says and where it points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from subcli.shared.toml import MAX_BYTES, TomlError, TomlFile, find_line

Port = Annotated[int, Meta(ge=1, le=65535, description="a port number", examples=["8000"])]
Words = Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(description="a list of words")]


class Rule(msgspec.Struct, forbid_unknown_fields=True):
    """An element of an array of tables."""

    name: Annotated[str, Meta(description="a string")]
    words: Words = ()


class Nested(msgspec.Struct, forbid_unknown_fields=True):
    """A table without a description."""

    port: Port | None = None


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """A file."""

    port: Port
    nested: Nested = msgspec.field(default_factory=Nested)
    rules: Annotated[list[Rule], Meta(description="written as `[[rules]]`")] = []
    named: dict[str, Any] = {}


def parse(text: str) -> TomlFile:
    """A file with this text."""
    return TomlFile(Path("x.toml"), text)


def failure(text: str) -> TomlError:
    """The error that converting ``text`` raises."""
    with pytest.raises(TomlError) as caught:
        parse(text).convert(Config)
    return caught.value


def test_valid_file_is_converted() -> None:
    """Tables, arrays of tables and defaults become the struct."""
    config = parse('port = 1\n[[rules]]\nname = "a"\nwords = ["x"]\n[named.b]\nname = "c"').convert(Config)
    assert (config.port, config.rules, config.nested.port) == (1, [Rule("a", ("x",))], None)
    assert parse('[named.b]\nname = "c"').convert(Rule, ("named", "b")) == Rule("c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = 0", "x.toml:1: `port` must be a port number"),
        ("port = true", "x.toml:1: `port` must be a port number"),
        ("", "x.toml: `port` is missing; it must be a port number"),
        ("port = 1\n\nprot = 2", "x.toml:3: unknown key `prot`"),
        ("port = 1\nnested = 3", "x.toml:2: `nested` must be a table"),
        ("port = 1\n[nested]\nport = 'x'", "x.toml:3: `nested.port` must be a port number"),
        ("port = 1\nnested.port = 'x'", "x.toml:2: `nested.port` must be a port number"),
        ("port = 1\n[nested]\n# c\n'a b' = 1", "x.toml:4: unknown key `nested.a b`"),
        ("port = 1\nrules = 3", "x.toml:2: `rules` must be written as `[[rules]]`"),
        ("port = 1\nrules = [3]", "x.toml:2: `rules[0]` must be a table"),
        ("port = 1\n[rules]", "x.toml:2: `rules` must be written as `[[rules]]`"),
        ("port = 1\n[[rules]]\nname = ''\n[[rules]]\nname = 3", "x.toml:5: `rules[1].name` must be a string"),
        ("port = 1\n[[rules]]\nwords = []", "x.toml:2: `rules[0].name` is missing; it must be a string"),
        ("port = 1\n[[rules]]\nname = ''\nwords = ['']", "x.toml:4: `rules[0].words` must be a list of words"),
        ("port = 1\n[[rules]]\nname = ''\nwords = ['a', 3]", "x.toml:4: `rules[0].words` must be a list of words"),
        ("port = 1\n'x` - at `$.y' = 3", "unknown key"),
    ],
)
def test_error_names_file_line_and_key(text: str, message: str) -> None:
    """Whatever is wrong, the error says where, and what was expected."""
    assert message in str(failure(text))


def test_hints() -> None:
    """An unknown key gets a suggestion and the known keys; an invalid value gets an example."""
    assert failure("port = 1\nprot = 1").hint == "Did you mean `port`? Known: port, nested, rules, named."
    assert failure("port = 1\n[nested]\nzzz = 1").hint == "Known: port."
    assert failure("port = 'x'").hint == "For example: `port = 8000`."


def test_error_names_table_with_arbitrary_name() -> None:
    """msgspec alone would not name it."""
    with pytest.raises(TomlError, match=r"^x\.toml:2: `named\.b\.name` must be a string$"):
        parse("[named.b]\nname = 3").convert(Rule, ("named", "b"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = ", "not valid TOML"),
        (b"a = " + b"[" * 20_000, "too deeply nested"),
        (b"a = " + b"9" * 6_000, "too long"),
        (b"a = '\xff'", "not UTF-8 text"),
        (b"#" * (MAX_BYTES + 1), "larger than 64 KiB"),
    ],
)
def test_invalid_toml(tmp_path: Path, content: bytes, message: str) -> None:
    """The error names the file."""
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(TomlError, match=message) as caught:
        TomlFile.read(path)
    assert str(caught.value).startswith(str(path))


def test_unreadable_file(tmp_path: Path) -> None:
    """A missing file and a directory are named."""
    with pytest.raises(TomlError, match="no such file"):
        TomlFile.read(tmp_path / "x.toml")
    with pytest.raises(TomlError, match="cannot be read: Is a directory"):
        TomlFile.read(tmp_path)


def test_byte_order_mark(tmp_path: Path) -> None:
    """Windows editors begin UTF-8 files with one; it is no part of the first key."""
    path = tmp_path / "file.toml"
    path.write_bytes(b"\xef\xbb\xbfport = 1\n")
    assert TomlFile.read(path).convert(Config).port == 1


def test_windows_line_endings(tmp_path: Path) -> None:
    """They are accepted, and lines are numbered as in an editor."""
    path = tmp_path / "x.toml"
    path.write_bytes(b"port = 1\r\n\r\nprot = 2\r\n")
    with pytest.raises(TomlError, match=r"x\.toml:3"):
        TomlFile.read(path).convert(Config)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("a",), 1),
        (("x",), 2),
        (("x", "b", "c"), 3),
        (("x", "missing"), 2),
        (("s", 0, "f"), 5),
        (("s", 1, "f"), 7),
        (("s", 2, "f"), 4),
        (("languages",), 8),
        (("languages", "c x", "run"), 9),
        (("q", "z"), 11),
        (("missing",), None),
        ((), None),
    ],
)
def test_find_line(keys: tuple[str | int, ...], line: int | None) -> None:
    """The line of a key, or of the table around it."""
    text = 'a = 1\n[x]\n b.c = 2\n[[s]]\nf=1\n[[s]]\nf=2\n[languages."c x"]\nrun=3 # [z]\n["q"] # c\nz=1\n'
    assert find_line(text, keys) == line


def test_unknown_keys_are_removed() -> None:
    """Each is named with its place, at any depth; what is wrong otherwise stays an error."""
    file = parse('port = 1\nnew = [1]\n[nested]\nnewer = 2\n[[rules]]\nname = "a"\nnewest = 3')
    removed = [str(error) for error in file.without_unknown(Config)]
    assert sorted(removed) == [
        "x.toml:2: unknown key `new`",
        "x.toml:4: unknown key `nested.newer`",
        "x.toml:7: unknown key `rules[0].newest`",
    ]
    assert file.convert(Config).rules == [Rule("a")]
    assert parse("port = 0").without_unknown(Config) == []


@pytest.mark.parametrize("key", ["x` - at `$.y", "x` - at `$.y`", "x` - at `$.rules[0]`", "x` - at `$[7]`"])
def test_keys_like_messages(key: str) -> None:
    """A key that looks like msgspec's own words is refused, and nothing else is removed."""
    file = parse(f"port = 1\nrules = []\n'{key}' = 3")
    file.without_unknown(Config)
    assert file.content["port"] == 1
    if key in file.content:
        with pytest.raises(TomlError):
            file.convert(Config)
