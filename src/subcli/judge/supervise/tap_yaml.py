"""Reads the YAML diagnostics of a TAP test. Import it where there is a block to parse: it loads PyYAML.

A block may quote anything that a solution prints. So a safe loader reads it, in bounded size and depth, without aliases
and tags. A block that cannot be read becomes `{"message": the text}`: a failed test must not lose its diagnostics
because of their form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

MAX_CHARACTERS = 131_072
_MAX_DEPTH = 32
# Everything but the printable characters of YAML 1.2 (5.1). PyYAML refuses them.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# As in YAML 1.2: `no`, `007`, `1_000` and `12:30` stay the text that the test printed.
_SCALARS = (
    ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9]\d{0,17})\Z", list("-+0123456789")),
    ("float", r"[-+]?(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?\Z", list("-+.0123456789")),
)


class _Refused(ValueError):
    """Valid YAML that the judge does not read: too long, too deep, with aliases or tags."""


def parse_yaml(text: str) -> dict[str, object]:
    """The mapping that `text` describes; `{"message": text}` if it is anything else."""
    try:
        value = _load(text)
    except (yaml.YAMLError, ValueError):
        value = None
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    return {"message": text.strip()} if text.strip() else {}


def _load(text: str) -> object:
    if len(text) > MAX_CHARACTERS:
        raise _Refused
    # As an escape: in double quotes it is the character again.
    text = _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    _check(yaml.parse(text, Loader=_Loader))
    return yaml.load(text, Loader=_Loader)


def _check(events: Iterator[yaml.Event]) -> None:
    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH or isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise _Refused


def _make_loader() -> type[yaml.SafeLoader]:
    """A safe loader, in C where PyYAML has one, that knows the scalars of `_SCALARS` and no others."""
    base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader: type[yaml.SafeLoader] = type("_Loader", (base,), {"yaml_implicit_resolvers": {}})
    for name, pattern, first_characters in _SCALARS:
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(pattern), first_characters)
    return loader


_Loader = _make_loader()
