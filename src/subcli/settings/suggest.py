"""What somebody who mistyped a name may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``Did you mean `python`?`` where one of ``known`` is close to ``word``, else nothing.

    Args:
        word: as it was typed.
        known: the names there are; from a server they are foreign text.
    """
    from difflib import get_close_matches

    names = {name.lower(): name for name in known if name}
    typed = word.lower()[:100]
    begun = sorted(name for name in names if len(typed) > 1 and name.startswith(typed))
    found = get_close_matches(typed, names, n=1, cutoff=0.6) or begun
    return f"Did you mean `{names[found[0]]}`?" if found else ""
