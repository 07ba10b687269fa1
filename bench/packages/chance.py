"""Packages made at random: groups in groups, graded in one way or another."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from bench.packages.kit import Package, cases, package


def at_random(count: int, seed: int) -> Iterator[Package]:
    """Packages with groups in groups, graded in one way or another."""
    for number in range(count):
        chance = random.Random(seed * 1_000_003 + number)
        is_scored = chance.random() < 0.8
        files: dict[str, str | None] = {}
        top = {"on_reject": "continue", **_settings(chance, is_scored)}
        if chance.random() < 0.5:
            top["grader_flags"] = "ignore_sample"
        files["data/testdata.yaml"] = _yaml(top)
        files.update(cases("sample", *(_words(chance) for _ in range(chance.randint(1, 2)))))
        files["data/sample/testdata.yaml"] = _yaml({"grader_flags": "''", **_settings(chance, is_scored)})
        _fill(chance, "secret", files, is_scored, 0)
        yield package(f"random{seed}x{number}", files, "type: scoring\n" if is_scored else "", 3)


def _fill(chance: random.Random, where: str, files: dict[str, str | None], is_scored: bool, depth: int) -> None:
    settings = _settings(chance, is_scored)
    if depth == 0 or chance.random() < 0.7:
        if depth == 0:
            settings.setdefault("grader_flags", "''")
        files[f"data/{where}/testdata.yaml"] = _yaml(settings)
    files.update(cases(where, *(_words(chance) for _ in range(chance.randint(0 if depth < 2 else 1, 3)))))
    for name in chance.sample(
        ("0", "1a", "2", "a", "b"), chance.randint(1 if depth == 0 else 0, 3) if depth < 2 else 0
    ):
        _fill(chance, f"{where}/{name}", files, is_scored, depth + 1)


def _settings(chance: random.Random, is_scored: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    if chance.random() < 0.5:
        found["on_reject"] = chance.choice(("break", "continue"))
    if chance.random() < 0.5:
        flags = ("sum", "min", "max", "avg", "first_error", "worst_error", "always_accept", "accept_if_any_accepted")
        found["grader_flags"] = " ".join(chance.sample(flags, chance.randint(1, 3)))
    if is_scored and chance.random() < 0.5:
        found["accept_score"] = chance.choice(("0", "1", "0.1", "33.3", "100"))
    if is_scored and chance.random() < 0.2:
        found["reject_score"] = chance.choice(("0", "-1", "2.5"))
    return found


def _words(chance: random.Random) -> str:
    return " ".join(chance.choices(("ac", "wa", "re", "sig"), (12, 3, 1, 1), k=3))


def _yaml(values: Mapping[str, str]) -> str:
    return "".join(f"{key}: {value}\n" for key, value in values.items())
