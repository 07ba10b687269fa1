"""``python -m tests.portable.program SYSTEM ARGUMENT…``: the program as it is on another system.

It waits, writes, hears signals and keeps secrets as on that system; what calls Windows is a model.
"""

from __future__ import annotations

import sys

from subcli.cli.main import run
from subcli.shared.platform import MacOS, Platform, Windows
from tests.shared.platform.model import ModelApi


def platform(name: str) -> Platform:
    """The platform of one system."""
    return MacOS() if name == "macOS" else Windows(ModelApi())


if __name__ == "__main__":
    sys.exit(run(sys.argv[2:], platform(sys.argv[1])))
