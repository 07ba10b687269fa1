"""The files of a new problem, for `subcli init --new-problem`: one for each runner, and each passes its check.

They are the directories beside this file. In their texts, `{{id}}`, `{{slug}}` and `{{title}}` stand for those of the
new problem.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from subcli.judge.problem_file import BUNDLED
from subcli.judge.slug import slug_from
from subcli.shared.toml import TomlError, TomlFile

RUNNERS: Final = ("cases", "pytest", "tap")
_BASE: Final = Path(__file__).parent


def new_problem(directory: Path, runner: str) -> Mapping[str, str]:
    """The texts of a new problem, by path inside its directory.

    Args:
        directory: what it is named after. Its id is one that no problem beside it has.
        runner: one of `RUNNERS`.
    """
    directory = Path(os.path.abspath(directory))
    name = directory.name
    slug = slug_from(name) or "my-problem"
    title = " ".join(re.sub(r"[\W_]+", " ", name).split()).capitalize() or "My problem"
    # A JSON string without its quotes may stand inside a basic string of TOML.
    values = {"id": str(_free_id(directory.parent)), "slug": slug, "title": json.dumps(title)[1:-1]}
    return {
        path.relative_to(_BASE / runner).as_posix(): _filled(path.read_text(encoding="utf-8"), values)
        for path in sorted((_BASE / runner).rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return text


def _free_id(parent: Path) -> int:
    return max((*_ids(BUNDLED), *_ids(parent)), default=0) + 1


def _ids(directory: Path) -> Iterator[int]:
    for path in directory.glob("*/problem.toml"):
        try:
            number = TomlFile.read(path).content.get("id")
        except TomlError:
            continue
        if isinstance(number, int) and not isinstance(number, bool):
            yield number
