"""Packages with every feature that both judges know, and packages that are broken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.packages.kit import Package, actor, cases, custom, graded, package, printing, scoring, talking, with_flags
from bench.packages.programs import (
    CHECKER,
    CHECKER_IN_C,
    ECHO,
    GRADER,
    GUESSER,
    HOST,
    HOST_IN_C,
    PASSES,
    SQUARE,
    YES_IN_JAVA,
)

_OK: Final = {**cases("sample", "ac"), **cases("secret", "ac", "ac")}
_MODERN: Final = "problem_format_version: 2023-07-draft\nuuid: 00000000-0000-4000-8000-000000000000\n"
_MODERN_PASSES: Final = _MODERN + "type: [pass-fail, multi-pass]\n"
_ANSWERS: Final = (
    "1.0 abc\n",
    "1.0000001 abc\n",
    "1 ABC\n",
    "1.0  abc",
    "1.1 abc\n",
    "1e0 abc x\n",
    "",
    "nan abc\n",
    "0x1p0 abc\n",
)

_BROKEN: Final[tuple[tuple[str, Mapping[str, str | None]], ...]] = (
    ("a: [1\n", {}),
    ("- a\n", {}),
    ("type: puzzle\n", {}),
    ("limits: many\n", {}),
    ("limits: {memory: lots}\n", {}),
    ("validation: custom\n", {}),
    ("validator_flags: fuzzy\n", {}),
    ("validator_flags: float_tolerance\n", {}),
    ("problem_format_version: 2031-01\n", {}),
    ("", {"data/secret/1.ans": None}),
    ("", {"data/secret/1.in": None}),
    ("", {"data/testdata.yaml": "on_reject: explode\n"}),
    ("", {"data/testdata.yaml": "a: [1\n"}),
    ("type: scoring\n", {"data/testdata.yaml": "range: 5 1\n"}),
    ("type: scoring\n", {"data/testdata.yaml": "range: many\n"}),
    ("", dict.fromkeys(_OK)),
    ("unknown: 1\n", {}),
    ("", {"data/testdata.yaml": "grading: magic\n"}),
    ("type: scoring\n", {"data/testdata.yaml": "accept_score: many\n"}),
    ("", {"data/testdata.yaml": "accept_score: 5\n"}),
    ("", {"data/testdata.yaml": "- a\n"}),
    ("grading: {objective: best}\n", {}),
    ("name: again\n", {}),
    ("limits: {time_multiplier: 0}\n", {}),
    ("", {"data/other/1.in": "ac\n", "data/other/1.ans": "yes\n"}),
    ("", {"data/1.in": "ac\n", "data/1.ans": "yes\n"}),
)

PACKAGES: Final = (
    # The default validator.
    printing("plain", "1.0 abc\n", "''", *_ANSWERS),
    printing("casesensitive", "1.0 abc\n", "case_sensitive", *_ANSWERS),
    printing("spaces", "1.0 abc\n", "space_change_sensitive", *_ANSWERS),
    printing("floats", "1.0 abc\n", "float_tolerance 1e-3", *_ANSWERS),
    printing("absolute", "100.0 abc\n", "float_absolute_tolerance 0.5", "100.4 abc\n", "100.6 abc\n", "1e2 abc\n"),
    printing("relative", "100.0 abc\n", "float_relative_tolerance 0.01", "100.9 abc\n", "101.1 abc\n", "99.0 abc\n"),
    printing("mixed", "1.0 abc\n", "case_sensitive space_change_sensitive float_tolerance 1e-3", *_ANSWERS),
    package(
        "flagsofgroups",
        {
            "data/testdata.yaml": "on_reject: continue\n",
            "data/secret/a/testdata.yaml": "output_validator_flags: case_sensitive\n",
            "data/secret/b/testdata.yaml": "output_validator_flags: float_tolerance 0.1\n",
            **cases("secret/a", "yes YES", answer="yes\n"),
            **cases("secret/b", "1.05 1.2", answer="1.0\n"),
            **cases("secret/c", "YES yEs", answer="yes\n"),
        },
        count=2,
    ),
    # How submissions end.
    package(
        "endings",
        {"data/testdata.yaml": "on_reject: continue\n", **cases("secret", "ac wa re sig tle mle ole wait", "ac " * 8)},
        "limits: {memory: 256, output: 1}\n",
        8,
    ),
    package("breaks", cases("secret", "ac ac wa re", "ac wa re wa", "ac re ac ac"), count=4),
    package(
        "directories",
        {
            f"submissions/{name}/{word}.py": actor(number)
            for number, (name, word) in enumerate(
                (
                    ("accepted", "fine"),
                    ("wrong_answer", "wrong"),
                    ("run_time_error", "broken"),
                    ("time_limit_exceeded", "slow"),
                    ("wrong_answer", "fine"),
                    ("accepted", "wrong"),
                )
            )
        }
        | {**cases("sample", "ac ac ac ac ac ac"), **cases("secret", "ac wa re tle ac wa", "ac ac ac ac ac ac")},
        count=0,
    ),
    package(
        "languages",
        {
            "submissions/accepted/c.c": '#include <stdio.h>\nint main(void) { puts("yes"); }\n',
            "submissions/accepted/cpp/main.cpp": '#include "say.h"\nint main() { say(); }\n',
            "submissions/accepted/cpp/say.cc": '#include <iostream>\nvoid say() { std::cout << "yes"; }\n',
            "submissions/accepted/cpp/say.h": "void say();\n",
            "submissions/accepted/Yes.java": YES_IN_JAVA,
            "submissions/wrong_answer/two/b.py": "def word():\n    return 'no'\n",
            "submissions/wrong_answer/two/main.py": "import b\nprint(b.word())\n",
            "submissions/wrong_answer/unbuilt.c": "int main(void) { return x; }\n",
            "submissions/run_time_error/nosuch.py": "import nosuch\n",
            "submissions/run_time_error/code.c": "int main(void) { return 1; }\n",
            "submissions/run_time_error/fault.c": "int main(void) { return *(volatile int *)0; }\n",
            **_OK,
        },
    ),
    package(
        "included",
        {
            "include/default/words.py": "WORD = 'yes'\n",
            "include/python3/words.py": "WORD = 'no'\n",
            "submissions/accepted/use/main.py": "import words\nprint(words.WORD)\n",
            "submissions/accepted/one.py": "import words\nprint(words.WORD)\n",
            **_OK,
        },
    ),
    # Output validators.
    custom("custom", "ac", "wa", "files", "flags"),
    custom("customflags", "flags", "files", yaml="validation: custom\nvalidator_flags: a b\n"),
    custom(
        "flagsofboth",
        "flags",
        yaml="validation: custom\nvalidator_flags: a\n",
        more={"data/secret/testdata.yaml": "output_validator_flags: b\n"},
    ),
    *(
        custom(f"checker{number}", "ac", word)
        for number, word in enumerate(("crash", "exit=0", "exit=1", "exit=41", "exit=44", "score=1", "scorewa=1"))
    ),
    custom("checkerhangs", "ac", "hang", yaml="validation: custom\nlimits: {validation_time: 1}\n"),
    custom("checkerunused", "ac", "wa", "files", yaml=""),
    custom(
        "checkerunbuilt",
        "ac",
        more={
            "output_validators/check/check.py": None,
            "output_validators/check/check.c": "int main(void) { return x; }\n",
        },
    ),
    custom(
        "checkerinc",
        "ac",
        "wa",
        more={
            "output_validators/check/check.py": None,
            "output_validators/check/check.c": CHECKER_IN_C,
        },
    ),
    *(
        custom(f"scored{number}", "score=1", word, yaml="type: scoring\nvalidation: custom score\n")
        for number, word in enumerate(
            (
                "score=2.5",
                "score=-3",
                "score=1e3",
                "score=many",
                "score=",
                "ac",
                "wa",
                "scorewa=1",
                "score=nan",
                "score=inf",
            )
        )
    ),
    custom(
        "scoredmodern",
        "score=2",
        "ac",
        "wa",
        yaml=_MODERN + "type: scoring\n",
        more={
            "output_validators/check/check.py": None,
            "output_validator/check/check.py": CHECKER,
            "data/secret/testdata.yaml": "accept_score: 7\n",
        },
    ),
    # Conversations.
    talking(
        "guess",
        HOST,
        "17",
        "print(17)\n",
        "print('x')\n",
        "",
        "import sys\nsys.exit(1)\n",
        "print(5)\nraise SystemExit(1)\n",
        "while True:\n    print(1, flush=True)\n    input()\n",
        "import time\nwhile True:\n    pass\n",
        "input()\n",
        GUESSER + "raise SystemExit(1)\n",
        GUESSER + "while True:\n    pass\n",
        "print('x', flush=True)\nwhile True:\n    pass\n",
        "import sys\nsys.stdout.close()\nsys.stdin.read()\n",
    ),
    talking(
        "pipes",
        HOST_IN_C,
        "1",
        "print(0)\nprint(1)\n",
        "import sys\nsys.exit(0)\n",
        "import sys\nsys.exit(1)\n",
        "import os\nos.close(0)\nprint(0)\nprint(1)\n",
        ECHO + "\n",
        "import sys\nfor n in range(5000):\n    print(n)\n",
        ending="c",
    ),
    talking(
        "hostcrashes", "import sys\nsys.stdin.readline()\nsys.exit(1)\n", "1", "print(1)\n", "raise SystemExit(1)\n"
    ),
    talking("hosteof", "import sys\nint(input())\nsys.exit(42)\n", "1", "print(1)\n", "", "raise SystemExit(1)\n"),
    # Several passes.
    *(
        Package(
            f"passes{start}",
            {
                "problem.yaml": f"name: passes\n{_MODERN_PASSES}limits: {{validation_passes: 4}}\n",
                "output_validator/check.py": PASSES,
                **cases("secret", "2", str(start)),
                "submissions/accepted/square.py": SQUARE,
                "submissions/wrong_answer/late.py": "n = int(input())\nprint(n * n or 7)\n",
                "submissions/run_time_error/late.py": "n = int(input())\nprint(n * n // min(n, 1))\n",
            },
        )
        for start in (3, 4)
    ),
    custom(
        "nextdespite",
        "ac",
        "next",
        yaml=_MODERN_PASSES,
        more={"output_validators/check/check.py": None, "output_validator/check/check.py": CHECKER},
    ),
    # The default grader.
    *(
        scoring(f"grader{number}", with_flags(flags), 4)
        for number, flags in enumerate(
            (
                "''",
                "sum",
                "min",
                "max",
                "avg",
                "first_error",
                "always_accept",
                "accept_if_any_accepted",
                "min max",
                "avg always_accept",
                "max accept_if_any_accepted first_error",
                "no_errors min",
                "worst_error first_error",
            )
        )
    ),
    *(
        package(
            f"passfail{number}",
            {
                "data/testdata.yaml": f"on_reject: continue\ngrader_flags: {flags}\n",
                **cases("secret/a", "ac wa ac re", "ac ac sig wa"),
                **cases("secret/b", "ac ac ac ac"),
                **cases("sample", "ac ac wa ac"),
            },
            count=4,
        )
        for number, flags in enumerate(("''", "first_error", "accept_if_any_accepted", "always_accept"))
    ),
    scoring(
        "emptygroups",
        {
            "data/testdata.yaml": "on_reject: continue\ngrader_flags: min\n",
            "data/sample/note.md": "",
            "data/secret/a/b/note.md": "",
            "data/secret/testdata.yaml": "accept_score: 5\ngrader_flags: accept_if_any_accepted min\n",
            **cases("secret", "ac wa"),
            **cases("secret/c", "ac wa"),
        },
        2,
    ),
    scoring("ranges", {**_OK, "data/testdata.yaml": "range: 0 1\naccept_score: 4\n"}),
    scoring(
        "oldgrading",
        {**cases("secret/a", "ac wa", "ac ac"), "data/secret/testdata.yaml": "accept_score: 3\non_reject: break\n"},
        2,
        "grading: {accept_score: 5, reject_score: 1, range: 0 10, on_reject: grade}\n",
    ),
    scoring("minimum", {**_OK, "data/testdata.yaml": "range: 2 9\n"}, yaml="grading: {objective: min}\n"),
    scoring(
        "mixedparts",
        {
            "data/secret/testdata.yaml": "on_reject: continue\naccept_score: 2\n",
            **cases("secret", "ac wa", "ac ac"),
            **cases("secret/1a", "ac ac", "ac wa"),
            **cases("secret/0", "ac re"),
        },
        2,
    ),
    # Graders of the author's.
    *(
        graded(f"custom{flags or 'grader'}", flags)
        for flags in ("", "one two", "crash", "silent", "many", "early", "exponent", "echo")
    ),
    graded("twograders", "", more={"graders/other/other.py": GRADER}),
    graded("nograder", "", more={"graders/grade/grade.py": None}),
    # Broken.
    *(package(f"broken{number}", {**_OK, **files}, yaml) for number, (yaml, files) in enumerate(_BROKEN)),
)


DIFFERENCES: Final[Mapping[str, str]] = {
    "scored8": "ours refuses the score nan at once, theirs when it adds scores up",
    "scored9": "ours refuses the score inf at once, theirs when it adds scores up",
    "broken16": "ours takes unknown keys, which other tools add, and remarks on them",
    "broken24": "ours does not run cases outside sample and secret, and remarks on them",
    "broken25": "ours does not run cases outside sample and secret, and remarks on them",
}
"""By package: why the two do not agree."""
