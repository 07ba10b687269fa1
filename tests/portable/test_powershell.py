"""Completion in PowerShell: in a real one where there is one, as on CI's machines, and what can be said without it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.hang import HANG_S
from tests.portable.test_client import WINE, Program

SCRIPT: Final = Path(__file__).parents[2] / "completions/subcli.ps1"
# That of Wine does nothing.
POWERSHELL: Final = None if WINE else shutil.which("pwsh") or shutil.which("powershell")

_ASK: Final = """
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest
. $env:SUBCLI_SCRIPT
$found = foreach ($line in ($env:SUBCLI_LINES | ConvertFrom-Json)) {
    , @((TabExpansion2 $line $line.Length).CompletionMatches | ForEach-Object { $_.CompletionText })
}
ConvertTo-Json -Compress @($found)
"""


def test_script_is_read_in_any_code_page() -> None:
    """Only ASCII: Windows PowerShell reads a pipe in the console's code page, and takes curly quotes for quotes."""
    text = SCRIPT.read_text(encoding="utf-8")
    assert text.isascii()
    code = re.sub(r"'(?:[^'\n]|'')*'", "", re.sub(r"^ *#.*$", "", text, flags=re.MULTILINE))
    assert code.count("'") == 0, "every quote is closed on its line"
    assert all(code.count(opening) == code.count(closing) for opening, closing in ("()", "[]", "{}"))


def test_script_knows_every_command() -> None:
    """Each row is a command with its options; what takes a value says of what kind."""
    text = SCRIPT.read_text(encoding="utf-8")
    assert re.search(r"^        ' watch' = @\('--mine', .*'--timeout', ", text, re.MULTILINE)
    assert "        '--problem' = 'problems'\n" in text
    assert "        ' watch:*' = 'ids'\n" in text
    assert "        ' completion:0' = @('bash', 'zsh', 'fish', 'powershell')\n" in text


# Not skipped elsewhere: nothing is missing there.
if POWERSHELL:

    def test_tab(tmp_path: Path) -> None:
        """Commands, options, values and names, also behind an equals sign; a word that is being typed is no place."""
        program = Program("here", tmp_path)
        fill = (
            "from subcli.workspace.completion_cache import CompletionCache, cache_directory\n"
            "cache = CompletionCache('http://127.0.0.1:8000', cache_directory())\n"
            "cache.keep('problems', ['leader-election', 'lru-cache'])\n"
        )
        subprocess.run([sys.executable, "-c", fill], env=program.env, check=True)
        lines = {
            "subcli subm": ["submit"],
            "subcli submit --prob": ["--problem"],
            "subcli submit x.py --problem le": ["leader-election"],
            "subcli submit --problem=lr": ["--problem=lru-cache"],
            "subcli auth token cr": ["create"],
            "subcli completion po": ["powershell"],
            "subcli test --debugger pd": ["pdb"],
            "subcli problems show l": ["leader-election", "lru-cache"],
        }
        done = subprocess.run(
            [str(POWERSHELL), "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", _ASK],
            env={
                **program.env,
                "PATH": f"{Path(sys.executable).parent}{';' if sys.platform == 'win32' else ':'}{program.env['PATH']}",
                "SUBCLI_SCRIPT": str(SCRIPT),
                "SUBCLI_LINES": json.dumps(list(lines)),
            },
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )
        assert done.returncode == 0, done.stderr
        assert dict(zip(lines, json.loads(done.stdout), strict=True)) == lines
