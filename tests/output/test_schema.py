"""The JSON Schema of ``--json``."""

from __future__ import annotations

import json
from importlib.resources import files

from subcli.output.schema import build


def test_published_schema_is_that_of_the_messages() -> None:
    """What ``subcli schema`` prints, and scripts check against, describes what this version prints, to the word."""
    assert json.loads((files("subcli") / "schema.json").read_text(encoding="utf-8")) == build()
