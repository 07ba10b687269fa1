"""Reads the YAML diagnostics of a TAP test. Import it where there is a block to parse: it loads PyYAML.

A block may quote anything that a solution prints, so `safe_yaml` reads it. A block that cannot be read becomes
`{"message": the text}`: a failed test must not lose its diagnostics because of their form.
"""

from __future__ import annotations

import re

from subcli.judge.safe_yaml import UnreadableYaml, load_yaml

MAX_CHARACTERS = 131_072
# Everything but the printable characters of YAML 1.2 (5.1). PyYAML refuses them.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_yaml(text: str) -> dict[str, object]:
    """The mapping that `text` describes; `{"message": text}` if it is anything else."""
    # As an escape: in double quotes it is the character again.
    printable = _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", text[: MAX_CHARACTERS + 1])
    try:
        value = load_yaml(printable, 4 * MAX_CHARACTERS) if len(text) <= MAX_CHARACTERS else None
    except UnreadableYaml:
        value = None
    if isinstance(value, dict):
        return value
    return {"message": text.strip()} if text.strip() else {}
