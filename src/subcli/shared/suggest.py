"""Suggests the name that the user probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``Did you mean `python`?`` if one of ``known`` is close to ``word``, otherwise an empty string.

    Args:
        word: what was typed.
        known: the names that exist. If they come from a server, they are untrusted text.
    """
    name = closest(word, known)
    return f"Did you mean `{name}`?" if name else ""


def closest(word: str, known: Iterable[str]) -> str:
    """The one of ``known`` that is close to ``word``; empty if none is."""
    from difflib import get_close_matches

    names = {name.lower(): name for name in known if name}
    typed = word.lower()[:100]
    prefixed = sorted(name for name in names if len(typed) > 1 and name.startswith(typed))
    matches = get_close_matches(typed, names, n=1, cutoff=0.6) or prefixed
    return names[matches[0]] if matches else ""
