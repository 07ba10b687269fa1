"""``subcli problems check``: what an author should know besides whether the problem works."""

from __future__ import annotations

from pathlib import Path

import pytest

from subcli.judge.check import checks


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(b"\xef\xbb\xbf7\n", "UTF-8"), ("7\n".encode("utf-16"), "UTF-16"), (b"\xfe\xff\0007", "UTF-16")],
    ids=["utf-8", "utf-16-le", "utf-16-be"],
)
async def test_byte_order_mark_in_a_case(text: bytes, encoding: str, tmp_path: Path) -> None:
    """Editors on Windows write it and show nothing; every right solution fails, or reads it as a part of a word."""
    root = tmp_path / "sum"
    (root / "tests/secret").mkdir(parents=True)
    head = 'id = 7\nslug = "sum"\ntitle = "Sum"\ndescription = "sum.md"\nrunner = "cases"\nlanguages = ["python"]\n'
    (root / "problem.toml").write_text(head)
    (root / "sum.md").write_text("Sum.")
    for name, content in {
        "a.in": b"7\n",
        "a.ans": text,
        "b.in": text,
        "b.ans": b"7\n",
        "c.in": b"",
        "c.ans": b"",
    }.items():
        (root / "tests/secret" / name).write_bytes(content)
    first = await anext(aiter(checks(root)))
    assert first.ok
    assert first.detail.splitlines()[1:] == [
        f"secret/a.ans begins with a byte order mark ({encoding}), which counts as part of the first word",
        f"secret/b.in begins with a byte order mark ({encoding}), which counts as part of the first word",
    ]
