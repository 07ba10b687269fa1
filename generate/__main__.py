"""``python -m generate``: write the files generated from the program."""

from __future__ import annotations

from pathlib import Path

from generate import everything

ROOT = Path(__file__).parents[1]

for name, text in everything(ROOT).items():
    path = ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(f"wrote {name}")
