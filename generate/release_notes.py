"""``python -m generate.release_notes v0.2.0``: print what the changelog says of a release.

It fails unless the tag, the program's version and a dated heading of the changelog agree.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
_HEADING = re.compile(r"^## (\S+)(?: – (\d{4}-\d\d-\d\d))?$", re.MULTILINE)


def notes(tag: str, changelog: str, source: str) -> str:
    """The section of a release.

    Args:
        tag: such as ``v0.2.0``.
        changelog: the text of CHANGELOG.md.
        source: the text of the module that has the version.

    Raises:
        ValueError: They do not agree, or the section is empty.
    """
    version = tag.removeprefix("v")
    found = _VERSION.search(source)
    if found is None or tag != f"v{found[1]}":
        raise ValueError(f"The tag is {tag}, and the version {found[1] if found else 'nowhere'}.")
    headings = list(_HEADING.finditer(changelog))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if heading[1] != version:
            continue
        if heading[2] is None:
            raise ValueError(f"The heading of {version} in the changelog has no date.")
        text = changelog[heading.end() : following.start() if following else None].strip()
        if not text:
            raise ValueError(f"The changelog says nothing about {version}.")
        return f"{text}\n"
    raise ValueError(f"The changelog has no heading for {version}.")


def main() -> None:
    """Print the notes, or say why there are none."""
    try:
        text = notes(sys.argv[1], (ROOT / "CHANGELOG.md").read_text(), (ROOT / "src/subcli/__init__.py").read_text())
    except ValueError as error:
        sys.exit(f"error: {error}")
    print(text, end="")


if __name__ == "__main__":
    main()
