"""``subcli completion``: prints the completion script of a shell, which is part of the package."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError


class Shell(StrEnum):
    """The shells with a script."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    powershell = "powershell"


PLACES: Final = {
    Shell.bash: "share/bash-completion/completions/subcli",
    Shell.zsh: "share/zsh/site-functions/_subcli",
    Shell.fish: "share/fish/vendor_completions.d/subcli.fish",
    # PowerShell looks for completions nowhere.
    Shell.powershell: "share/subcli/subcli.ps1",
}
"""Where each script is, below the environment's prefix."""


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "completion", example='eval "$(subcli completion bash)"', codes=exits.LOCAL)
    def completion(
        common: Common,
        streams: Streams,
        shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
    ) -> int:
        """Print the completion script for bash, zsh, fish or PowerShell."""
        path = Path(sys.prefix) / PLACES[shell]
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            raise UsageError(
                f"{path} is missing: subcli was installed without completions.",
                hint="Install it again: `pip install --force-reinstall --no-deps subcli-watch`.",
            ) from None
        if common.json:
            streams.print_json({"completion": {"shell": str(shell), "script": text}})
        else:
            streams.write(text)
        return 0
