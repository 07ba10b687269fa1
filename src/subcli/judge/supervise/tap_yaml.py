"""The YAML of TAP diagnostics: the plain part of it that test libraries print.

Mappings and sequences by indentation, plain and quoted scalars, `|` and `>` blocks. Flow collections, anchors and tags
stay the text that they are. What cannot be read at all becomes `{"message": the text}`: a failed test must not lose
its diagnostics over their form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_KEY = re.compile(r"""(?P<key>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#:"'\[\]{},][^:#]*?)\s*:(?:\s+(?P<value>.*))?\Z""")
_BLOCK = re.compile(r"[|>][+-]?\d?\s*(?:#.*)?\Z")
_INTEGER = re.compile(r"[-+]?\d{1,18}\Z")
_FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?\Z")
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None, "~": None, "": None}
_DEPTH = 32


class _NotUnderstood(Exception):
    pass


def parse_yaml(lines: Sequence[str]) -> dict[str, object]:
    """The mapping that `lines` describe."""
    reader = _Reader(lines)
    try:
        value = reader.node(0, 0)
        if reader.at_end and isinstance(value, dict):
            return value
    except _NotUnderstood:
        pass
    text = "\n".join(lines).strip()
    return {"message": text} if text else {}


class _Reader:
    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = [line.rstrip() for line in lines]
        self._at = 0

    @property
    def at_end(self) -> bool:
        self._skip()
        return self._at >= len(self._lines)

    def _skip(self) -> None:
        while self._at < len(self._lines) and (
            not self._lines[self._at] or self._lines[self._at].lstrip().startswith("#")
        ):
            self._at += 1

    def node(self, indent: int, depth: int) -> object:
        """The value whose lines are indented by at least `indent`."""
        if depth > _DEPTH:
            raise _NotUnderstood
        if self.at_end or self._indent() < indent:
            return None
        here = self._indent()
        text = self._lines[self._at][here:]
        if text == "-" or text.startswith("- "):
            return self._sequence(here, depth)
        if _KEY.match(text):
            return self._mapping(here, depth)
        self._at += 1
        return _scalar(text)

    def _indent(self) -> int:
        line = self._lines[self._at]
        return len(line) - len(line.lstrip(" "))

    def _mapping(self, indent: int, depth: int) -> dict[str, object]:
        mapping: dict[str, object] = {}
        while not self.at_end and self._indent() == indent:
            found = _KEY.match(self._lines[self._at][indent:])
            if found is None:
                raise _NotUnderstood
            self._at += 1
            key = str(_scalar(found["key"]))
            mapping[key] = self._value(found["value"] or "", indent, depth)
        return mapping

    def _sequence(self, indent: int, depth: int) -> list[object]:
        sequence: list[object] = []
        while not self.at_end and self._indent() == indent and self._lines[self._at][indent:][:2].strip() == "-":
            rest = self._lines[self._at][indent + 1 :]
            if _KEY.match(rest.strip()):
                # `- key: value` opens a mapping whose keys stand below `key`.
                self._lines[self._at] = " " * (indent + 1) + rest
                sequence.append(self.node(indent + 1, depth + 1))
                continue
            self._at += 1
            sequence.append(self._value(rest.strip(), indent, depth))
        return sequence

    def _value(self, text: str, indent: int, depth: int) -> object:
        if _BLOCK.match(text):
            return self._block(indent, folded=text[0] == ">")
        if text:
            return _scalar(text)
        if not self.at_end and self._indent() == indent and self._lines[self._at].lstrip().startswith("-"):
            # A sequence may stand at the indentation of its key.
            return self.node(indent, depth + 1)
        return self.node(indent + 1, depth + 1)

    def _block(self, indent: int, *, folded: bool) -> str:
        taken: list[str] = []
        while self._at < len(self._lines) and (not self._lines[self._at] or self._indent() > indent):
            taken.append(self._lines[self._at])
            self._at += 1
        margin = min((len(line) - len(line.lstrip(" ")) for line in taken if line), default=0)
        text = [line[margin:] for line in taken]
        return (" " if folded else "\n").join(text).rstrip()


def _scalar(text: str) -> object:
    if text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
        try:
            return json.loads(text)
        except ValueError:
            return text[1:-1]
    if text[:1] == "'" and text[-1:] == "'" and len(text) > 1:
        return text[1:-1].replace("''", "'")
    plain = re.sub(r"\s+#.*\Z", "", text)
    if plain.lower() in _WORDS:
        return _WORDS[plain.lower()]
    if _INTEGER.match(plain):
        return int(plain)
    return float(plain) if _FLOAT.match(plain) else plain
