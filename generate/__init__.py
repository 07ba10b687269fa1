"""What is made from the program: completions, man pages, the JSON Schema, the tables of the README.

``python -m generate`` writes them; a test fails where what is committed is not what comes out.
"""

from __future__ import annotations

import json
from pathlib import Path


def everything(root: Path) -> dict[str, str]:
    """All texts, by their paths in the repository.

    Args:
        root: of the repository, for the parts that are written by hand.
    """
    from generate import bash, fish, man, tables, tree, zsh
    from subcli.output import schema

    commands = tree.read()
    return {
        "src/subcli/schema.json": json.dumps(schema.build(), indent=2) + "\n",
        "completions/subcli.bash": bash.script(commands),
        "completions/_subcli": zsh.script(commands),
        "completions/subcli.fish": fish.script(commands),
        "README.md": tables.readme((root / "README.md").read_text(encoding="utf-8")),
        "docs/recovery.md": tables.recovery_page((root / "docs/recovery.md").read_text(encoding="utf-8")),
        **man.pages(commands, root / "docs"),
    }
