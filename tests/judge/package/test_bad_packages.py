# ruff: noqa: E501
"""Packages that cannot be used: one clear sentence each, and nothing half-loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from subcli.judge.check import check_problem
from subcli.judge.package import tree
from subcli.judge.problem import ProblemError
from subcli.judge.problem_file import load_problem
from subcli.judge.shelf import problem_shelf
from tests.judge.package.packages import MINIMAL, loaded, write

Files = Mapping[str, str | bytes | None]
SCORING = "type: scoring\nname: Minimal\n"
MODERN = "problem_format_version: 2025-09\nname: Minimal\nuuid: 1\n"
MANY = {f"data/secret/{number}.{ending}": "" for number in range(6) for ending in ("in", "ans")}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"problem.yaml": "a: [1\n"}, "problem.yaml:2: not valid YAML: did not find expected ',' or ']'"),
        ({"problem.yaml": "- a\n"}, "problem.yaml:1: must be a mapping of keys to values"),
        ({"problem.yaml": "a: &x [1]\nb: [*x, *x]\n"}, "problem.yaml:2: has the alias `*x`; aliases are not read"),
        ({"problem.yaml": "name: !!python/name:os.system x\n"}, "problem.yaml:1: has the tag"),
        ({"problem.yaml": "a: " + "[" * 1000}, "problem.yaml:1: nested more than 32 levels deep"),
        ({"problem.yaml": b"name: \xff\n"}, "problem.yaml:1: is not UTF-8 text"),
        ({"problem.yaml": "name: a\x01\n"}, "problem.yaml:1: not valid YAML: it has a character that YAML does not allow"),
        ({"problem.yaml": "#" * 300_000}, "problem.yaml: has more than 256 KiB"),
        ({"problem.yaml": "name: [a]\n"}, "problem.yaml:1: `name` must be text"),
        ({"problem.yaml": "limits: 5\n"}, "problem.yaml:1: `limits` must be a mapping of keys to values"),
        ({"problem.yaml": "limits:\n  memory: lots\n"}, "problem.yaml:2: `limits.memory` must be a number greater than 0"),
        ({"problem.yaml": "limits: {time_limit: 0}\n"}, "`limits.time_limit` must be a number greater than 0"),
        ({"problem.yaml": "limits: {time_limit: .nan}\n"}, "`limits.time_limit` must be a number greater than 0"),
        ({"problem.yaml": "limits: {time_limit: 100000}\n"}, "`limits.time_limit` must be less than a day"),
        ({"problem.yaml": "limits: {output: 99999}\n"}, "`limits.output` must be at most 1024, in MiB"),
        ({"problem.yaml": "type: submit-answer\n"}, "`type` is `submit-answer`"),
        ({"problem.yaml": "type: puzzle\n"}, "`type` must be of pass-fail, scoring"),
        ({"problem.yaml": "type: [scoring, pass-fail]\n"}, "`type` cannot be both"),
        ({"problem.yaml": "problem_format_version: 2031-01\n"}, "`problem_format_version` must be one of legacy"),
        ({"problem.yaml": "validaton: custom\n"}, "`validaton` is not a key of the format; did you mean `validation`?"),
        ({"problem.yaml": "validation: magic\n"}, "`validation` must be `default`, or `custom`"),
        ({"problem.yaml": "validation: custom\n"}, "output_validators: has no output validator, which the problem needs"),
        ({"problem.yaml": "problem_format_version: 2025-09\nname: x\nlanguages: [apl]\n"}, "`languages` names none"),
        ({"problem.yaml": "constants: {a b: 1}\n"}, "`constants.a b` must be named with letters"),
        ({"problem.yaml": "validator_flags: float_tolerance\n"}, "problem.yaml: must give a number after the flag `float_tolerance`"),
        ({"problem.yaml": "validator_flags: float_tolerance -1\n"}, "must give a number after the flag"),
        ({"problem.yaml": "validator_flags: fuzzy\n"}, "has the flag 'fuzzy', which the default output validator does not know"),
        ({"problem.yaml": "validation: custom\n", "output_validators/a.txt": ""}, "has no output validator"),
        ({"problem.yaml": "validation: custom\n", "output_validators/a/a.txt": ""}, "output_validators/a: must be in one of the languages"),
        ({"problem.yaml": "validation: custom\n", "output_validators/a/a.py": "", "output_validators/b/b.py": ""}, "several output validators (a, b)"),
        ({"problem.yaml": "validation: custom\n", "output_validators/a.py": "#!/usr/bin/python2\n"}, "output_validators: is written in Python 2, which cannot be run"),
        ({"graders/a.py": "print 'AC'\n"}, "graders: is written in Python 2, which cannot be run"),
        ({"graders/a.py": "try: 1\nexcept OSError, error: pass\n"}, "graders: is written in Python 2"),
        ({"domjudge-problem.ini": "timelimit=soon\n"}, "domjudge-problem.ini: must give the time limit in seconds, not 'soon'"),
        ({"data/secret/1.ans": None}, "1.in: has no answer: there is no 1.ans"),
        ({"data/secret/1.in": None}, "1.ans: is the answer to nothing: there is no 1.in"),
        ({"data/secret/1.in": None, "data/secret/1.ans": None}, "data: has no test case"),
        ({"data/secret/2.in/x": "", "data/secret/2.ans": ""}, "is the answer to nothing"),
        ({"data/secret/2.in": "", "data/secret/2.ans/x": ""}, "2.in: has no answer: there is no 2.ans"),
        ({"data/secret/1.files/x": ""}, "1.files: is read from version 2025-09 of the format on"),
        ({"problem.yaml": MODERN, "data/secret/2.files/x": ""}, "2.files: has the files of no case: there is no 2.in"),
        ({"problem.yaml": MODERN, "data/secret/1.files/x": b"x" * ((16 << 20) + 1)}, "1.files: has more than 16 MiB"),
        ({"problem.yaml": MODERN, "data/secret/1.files/a/b\nc": ""}, "characters that do not print: 'b\\nc'"),
        ({"data/secret/a\nb.in": ""}, "has a file whose name has characters that do not print: 'a\\nb.in'"),
        ({"data/" + "secret/" * 14 + "1.in": ""}, "lies more than 12 directories deep"),
        (MANY, "data/secret: has more than 5 cases"),
        ({"data/testdata.yaml": "on_reject: explode\n"}, "testdata.yaml:1: `on_reject` must be one of break, continue"),
        ({"problem.yaml": SCORING, "data/testdata.yaml": "range: 5 1\n"}, "testdata.yaml:1: `range` must be two numbers"),
        ({"problem.yaml": SCORING, "data/testdata.yaml": "accept_score: many\n"}, "`accept_score` must be a number"),
        ({"problem.yaml": SCORING, "data/testdata.yaml": "grading: custom\n"}, "custom grading, but there is no program in graders/"),
        ({"graders/a/a.py": "", "graders/b/b.py": ""}, "graders: has several graders (a, b)"),
        ({"problem.yaml": MODERN, "data/secret/test_group.yaml": "max_score: 1\n"}, "`max_score` is for problems of the type `scoring` only"),
        ({"problem.yaml": MODERN + "type: scoring\n", "data/secret/test_group.yaml": "max_score: 1.5\n"}, "`max_score` must be a whole number"),
        ({"problem.yaml": MODERN + "type: scoring\n", "data/secret/test_group.yaml": "require_pass: later\n"}, "`require_pass` must name pass-fail groups"),
        ({"problem.yaml": MODERN + "type: scoring\n", "data/secret/test_group.yaml": "score_aggregation: max\n"}, "`score_aggregation` must be one of pass-fail, sum, min"),
        ({"problem.yaml": MODERN, "data/secret/testdata.yaml": "on_reject: break\n"}, "testdata.yaml: is not read in this version"),
        ({"problem.yaml": MODERN, "data/secret/test_group.yaml": "static_validation_score: 1\n"}, "static validator, which cannot be run"),
        ({"problem.yaml": MODERN, "data/secret/a/test_group.yaml": ""}, "data/secret: has groups, so secret/1 must be one"),
        ({"submissions/submissions.yaml": "a: {permitted: [XX]}\n"}, "`a.permitted` must be a list of AC, WA, TLE, RTE, not 'XX'"),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_used_says_why_in_one_sentence(
    tmp_path: Path, files: Files, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MAX_CASES", 5)
    with pytest.raises(ProblemError) as caught:
        loaded(tmp_path, files)
    assert sentence in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert str(caught.value).startswith(str(tmp_path))


@pytest.mark.parametrize("place", ["data/secret/loop", "output_validators/loop", "submissions/accepted/loop/loop"])
def test_links_that_lead_around_in_a_circle(tmp_path: Path, place: str) -> None:
    files = {"problem.yaml": "validation: custom\n", "output_validators/a.py": ""}
    root = write(tmp_path / "minimal", {**MINIMAL, **files})
    link = root / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(link.parent)
    with pytest.raises(ProblemError, match="leads back to a directory that it is in"):
        load_problem(root)


def test_a_link_to_itself_is_not_a_file(tmp_path: Path) -> None:
    root = write(tmp_path / "minimal", {**MINIMAL, "data/secret/2.ans": ""})
    (root / "data/secret/2.in").symlink_to("2.in")
    with pytest.raises(ProblemError, match=r"2\.in: must be a file"):
        load_problem(root)


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    root = write(tmp_path / "minimal", MINIMAL)
    (root / os.fsdecode(b"data/secret/\xff.in")).write_text("")
    with pytest.raises(ProblemError, match="name that is not UTF-8") as caught:
        load_problem(root)
    str(caught.value).encode()


def test_a_package_whose_file_cannot_be_read_is_not_taken_for_another_kind_of_problem(tmp_path: Path) -> None:
    root = write(tmp_path / "minimal", {**MINIMAL, "problem.yaml": None})
    (root / "problem.yaml").symlink_to("nowhere")
    (check,) = check_problem(root).checks
    assert check.what == "problem.yaml"
    assert check.detail == f"{root}/problem.yaml: cannot be read: No such file or directory"
    with problem_shelf(tmp_path, tmp_path) as snapshot:
        assert [str(error) for error in snapshot.broken] == [check.detail]


def test_a_directory_without_a_problem_is_said_to_be_one(tmp_path: Path) -> None:
    (check,) = check_problem(tmp_path).checks
    assert check.detail == f"{tmp_path}: there is neither a problem.toml nor a problem.yaml"
