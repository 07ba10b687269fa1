"""``subcli`` and ``python -m subcli``. ``--version`` is answered before anything else is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with the contract's codes (section 3)."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from subcli import __version__

        sys.stdout.write(f"subcli {__version__}\n")
        return
    from subcli.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
