"""Reads YAML that somebody else wrote: in bounded size and depth, without aliases and tags. Loads PyYAML.

Scalars are those of YAML 1.2: `no`, `007`, `1_000` and `12:30` are text.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

import yaml

Keys: TypeAlias = tuple[str | int, ...]
"""Where a value is: keys of mappings and indexes of sequences, from the top."""

_MAX_DEPTH: Final = 32
_SCALARS: Final = (
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9]\d{0,17})\Z", list("-+0123456789")),
    ("float", r"[-+]?(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?\Z", list("-+.0123456789")),
)


class UnreadableYaml(ValueError):
    """A text is not YAML, or YAML that is not read.

    Attributes:
        complaint: what is wrong, a clause.
        line: where, counted from 1, if it is known.
    """

    def __init__(self, complaint: str, line: int | None = None) -> None:
        super().__init__(complaint, line)
        self.complaint = complaint
        self.line = line


def load_yaml(text: str, max_characters: int) -> object:
    """The value that `text` describes.

    Raises:
        UnreadableYaml: it is not YAML, or too long, too deep, or has tags or aliases.
    """
    return load_yaml_with_lines(text, max_characters)[0]


def load_yaml_with_lines(
    text: str, max_characters: int, repeated: dict[Keys, int] | None = None
) -> tuple[object, dict[Keys, int]]:
    """The value that `text` describes, and the line of each value in it.

    Args:
        text: The text.
        max_characters: How long it may be.
        repeated: Where the lines of keys that a mapping has already go; the last one counts then, as with other
            readers. Without it, a key that is there twice is an error.

    Raises:
        UnreadableYaml: as `load_yaml`.
    """
    if len(text) > max_characters:
        raise UnreadableYaml(f"has more than {max_characters:,} characters")
    try:
        _check(text)
        loader: Any = _Loader(text)
        node = loader.get_single_node()
        lines: dict[Keys, int] = {}
        value = None if node is None else _value(loader, node, (), lines, repeated)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UnreadableYaml(
            f"not valid YAML: {error.problem or error.context}", mark.line + 1 if mark else None
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else None
        raise UnreadableYaml("not valid YAML: it has a character that YAML does not allow", line) from None
    except yaml.YAMLError as error:
        raise UnreadableYaml(f"not valid YAML: {error}") from None
    return value, lines


def _check(text: str) -> None:
    """Look at the events alone, which no nesting or alias makes many."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise UnreadableYaml(f"nested more than {_MAX_DEPTH} levels deep", line)
        if isinstance(event, yaml.AliasEvent):
            # Ten lines of aliases of aliases describe more than any machine can hold.
            raise UnreadableYaml(f"has the alias `*{event.anchor}`; aliases are not read", line)
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise UnreadableYaml(f"has the tag {tag!r}; tags are not read", line)


def _value(
    loader: Any, node: yaml.Node, keys: Keys, lines: dict[Keys, int], repeated: dict[Keys, int] | None
) -> object:
    """The value of a node.

    Raises:
        UnreadableYaml: a mapping has a key twice, or one that is not text.
    """
    lines.setdefault(keys, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, each, (*keys, number), lines, repeated) for number, each in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    found: dict[str, object] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise UnreadableYaml("a key must be text", line)
        key = str(key_node.value)
        place = (*keys, key)
        if key in found:
            if repeated is None:
                raise UnreadableYaml(f"has the key `{key[:80]}` twice", line)
            repeated[place] = line
        lines[place] = line
        found[key] = _value(loader, value_node, place, lines, repeated)
    return found


def _make_loader() -> type[yaml.SafeLoader]:
    """A safe loader, in C where PyYAML has one, that knows the scalars of `_SCALARS` and no others."""
    base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: type[yaml.SafeLoader] = type("_Loader", (base,), {"yaml_implicit_resolvers": {}})
    for name, pattern, first_characters in _SCALARS:
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(pattern), first_characters)
    return loader


_Loader = _make_loader()
