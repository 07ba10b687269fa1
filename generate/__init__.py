"""Generates files from the program: completions, man pages, the JSON Schema, and tables in the documentation.

``python -m generate`` writes them; a test fails if the committed files are out of date.
"""

from __future__ import annotations

import json
from pathlib import Path


def everything(root: Path) -> dict[str, str]:
    """Return the contents of all generated files, by path in the repository.

    Args:
        root: The root of the repository, to read the hand-written parts.
    """
    from generate import bash, fish, man, powershell, tables, tree, zsh
    from subcli.output import schema

    commands = tree.read()
    return {
        "src/subcli/schema.json": json.dumps(schema.build(), indent=2) + "\n",
        "completions/subcli.bash": bash.script(commands),
        "completions/_subcli": zsh.script(commands),
        "completions/subcli.fish": fish.script(commands),
        "completions/subcli.ps1": powershell.script(commands),
        "README.md": tables.readme((root / "README.md").read_text(encoding="utf-8")),
        "docs/recovery.md": tables.recovery_page((root / "docs/recovery.md").read_text(encoding="utf-8")),
        **man.pages(commands, root / "docs"),
    }
