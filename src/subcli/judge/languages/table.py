"""The judge's own table of languages, and what operators and problem authors change in it.

`languages.toml` beside this file is the judge's. A `languages.toml` in a directory of problems has the same form, adds
languages to it and changes others, and so does each table `[languages.NAME]` of a problem: a table that is named like a
known language inherits from it what it does not say. Whoever says `run` says how the language is built as well, so
`build` and `requires` are not inherited then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from subcli.judge.languages.language import Language
from subcli.shared.toml import Keys, TomlFile

FILE_NAME: Final = "languages.toml"
Languages: TypeAlias = Mapping[str, Language]
"""Languages by name."""

Text: TypeAlias = Annotated[str, Meta(pattern=r"\S", description="a string that is not blank")]
# Not blank, not absolute, and no part is "..".
InnerPath: TypeAlias = Annotated[
    str,
    Meta(pattern=r"\A(?!/)(?!([\s\S]*/)?\.\.(/|\Z))[\s\S]*\S", description="a relative path that contains no `..`"),
]
Words: TypeAlias = Annotated[
    tuple[Annotated[str, Meta(min_length=1)], ...], Meta(description="a list of strings, none of them empty")
]
Command: TypeAlias = Annotated[
    tuple[Annotated[str, Meta(min_length=1)], ...],
    Meta(min_length=1, description="a list of strings, one for each word"),
]
Endings: TypeAlias = Annotated[
    tuple[Annotated[str, Meta(pattern=r"\A\.[^./\s]+\Z")], ...],
    Meta(description='a list of endings with their dots, such as ".py"'),
]
Readers: TypeAlias = Annotated[
    Literal["", "python", "java", "go", "rust", "node", "csharp", "haskell", "ruby"],
    Meta(description="one of python, java, go, rust, node, csharp, haskell, ruby"),
]
_NAME: Final = re.compile(r"[a-z][a-z0-9_.+#-]{0,39}")


class LanguageTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table that describes a language. What is None is not said."""

    source: InnerPath | None = None
    run: Command | None = None
    build: Words | None = None
    requires: Words | None = None
    bounded_address_space: Annotated[bool | None, Meta(description="true or false")] = None
    title: Text | None = None
    endings: Endings | None = None
    companions: Endings | None = None
    entries: Annotated[tuple[InnerPath, ...] | None, Meta(description="a list of relative paths")] = None
    main: Text | None = None
    version: Words | None = None
    traceback: Readers | None = None


def derive(file: TomlFile, keys: Keys, name: str, table: LanguageTable, known: Languages) -> Language:
    """The language that a table describes.

    Args:
        file: where the table is.
        keys: where it is there, for errors.
        name: the language's name.
        table: what the table says.
        known: the languages from which it may inherit.

    Raises:
        TomlError: it lacks something that it cannot inherit, or its regular expression is not valid.
    """
    base = known.get(name)
    if base is None:
        for key, value in (("source", table.source), ("run", table.run)):
            if value is None:
                raise file.error((*keys, key), f"is missing; it must be {_NEEDED[key]}")
        base = Language(name=name, source="", run=())
    elif table.run is not None:
        base = replace(base, build=(), requires=())
    if table.main is not None:
        try:
            re.compile(table.main)
        except re.error as error:
            raise file.error((*keys, "main"), f"must be a regular expression: {error}") from None
    said = {key: value for key in _KEYS if (value := getattr(table, key)) is not None}
    language = replace(base, **said)
    ending = Path(language.source).suffix
    if table.source is not None and table.endings is None and ending not in language.endings:
        language = replace(language, endings=())
    return language


_KEYS: Final = LanguageTable.__struct_fields__
_NEEDED: Final = {"source": "a relative path that contains no `..`", "run": "a list of strings, one for each word"}


def read_languages(path: Path, known: Languages) -> Languages:
    """The languages that are known, and those that a file adds or changes.

    Raises:
        TomlError: the file cannot be read, or is not valid.
    """
    file = TomlFile.read(path)
    found = dict(known)
    for name, content in file.content.items():
        if not _NAME.fullmatch(name):
            raise file.error((name,), "must be a name in lower-case letters, such as `python`")
        if not isinstance(content, dict):
            raise file.error((name,), "must be a table that describes a language")
        found[name] = derive(file, (name,), name, file.convert(LanguageTable, (name,)), known)
    return MappingProxyType(found)


@cache
def bundled() -> Languages:
    """The judge's own languages, by name."""
    return read_languages(Path(__file__).with_name(FILE_NAME), {})


def languages_in(directory: Path | None) -> Languages:
    """The judge's languages, with what the `languages.toml` in a directory of problems says, if there is one.

    Raises:
        TomlError: the file cannot be read, or is not valid.
    """
    if directory is None or not (directory / FILE_NAME).exists():
        return bundled()
    return read_languages(directory / FILE_NAME, bundled())


def language(name: str, known: Languages | None = None) -> Language:
    """The language of this name.

    Args:
        name: such as `python`.
        known: where to look; default: the judge's own.

    Raises:
        KeyError: there is none.
    """
    return (bundled() if known is None else known)[name]


def all() -> tuple[Language, ...]:
    """The judge's own languages."""
    return tuple(bundled().values())
