"""The outputs of a GitHub step: ``submission-id``, ``verdict`` and ``url``, appended to ``$GITHUB_OUTPUT``.

Source: "Workflow commands for GitHub Actions", setting an output parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from subcli.output.printable import one_line
from subcli.output.view import Ending

_VALUE_CHARS: Final = 4000


def write_outputs(path: Path, ids: Sequence[int], endings: Mapping[int, Ending], urls: Mapping[int, str]) -> None:
    """Append the outputs of a step. Of several submissions, each has a word in each value.

    Args:
        path: the file of the step's outputs.
        ids: the submissions, in order.
        endings: how they ended, by id; a submission without a verdict has the word ``none``.
        urls: the addresses of their pages, by id, as far as they are known.

    Raises:
        OSError: The file cannot be written.
    """
    if not ids:
        return
    verdicts = [
        ending.verdict.final_status if (ending := endings.get(number)) is not None and ending.verdict else "none"
        for number in ids
    ]
    values = {
        "submission-id": [str(number) for number in ids],
        "verdict": verdicts,
        "url": [urls[number] for number in ids if number in urls],
    }
    lines = [f"{name}={_value(words)}\n" for name, words in values.items()]
    with path.open("a", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write("".join(lines))


def _value(words: Sequence[str]) -> str:
    """One line, whatever a server has sent: a second one would set another output."""
    return " ".join(one_line(word, _VALUE_CHARS).replace(" ", "") for word in words)
