"""Bundled jobs that show whether a judge works here: a hello-world for each language, and a self-test.

A correct judge on a healthy machine gives both the verdict `passed`, so anything else is the machine's fault, or that
of a language's installation.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from subcli.judge.job import Job
from subcli.judge.languages.language import Language
from subcli.judge.languages.table import bundled
from subcli.judge.problem import Problem, ResourceLimits

_HERE: Final = Path(__file__).parent
_HELLO: Final = {
    ".c": '#include <stdio.h>\n\nint main(void) {\n    puts("hello");\n    return 0;\n}\n',
    ".cc": '#include <iostream>\n\nint main() { std::cout << "hello\\n"; }\n',
    ".cpp": '#include <iostream>\n\nint main() { std::cout << "hello\\n"; }\n',
    ".cs": 'class Hello { static void Main() { System.Console.WriteLine("hello"); } }\n',
    ".go": 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("hello")\n}\n',
    ".hs": 'main :: IO ()\nmain = putStrLn "hello"\n',
    ".java": 'class CLASS {\n    public static void main(String[] words) { System.out.println("hello"); }\n}\n',
    ".js": 'console.log("hello");\n',
    ".kt": 'fun main() { println("hello") }\n',
    ".lua": 'print("hello")\n',
    ".pas": "begin\n  writeln('hello');\nend.\n",
    ".php": '<?php\necho "hello\\n";\n',
    ".pl": 'print "hello\\n";\n',
    ".py": 'print("hello")\n',
    ".rb": 'puts "hello"\n',
    ".rs": 'fn main() {\n    println!("hello");\n}\n',
    ".sh": "echo hello\n",
    ".ts": 'console.log("hello");\n',
}
"""By the extension of a language's source file. `CLASS` is its name without the extension."""
_LEAST: Final = ResourceLimits(memory_mb=512, total_memory_mb=1024, test_seconds=20, submission_seconds=30)
"""A trial gets these limits even where a problem allows less: it tries the machine, not the problem."""


def hello(language: Language, limits: ResourceLimits) -> Job | None:
    """A hello-world that is built and run with the commands of `language`. None if we know none for it.

    Languages of several problems that are built and run alike give equal jobs.

    Args:
        limits: those of the language's problem; a trial gets the memory and the processes that they allow.
    """
    source = PurePosixPath(language.source)
    text = _HELLO.get(source.suffix)
    if text is None:
        return None
    if not any(re.search(rf"\b{re.escape(source.stem)}\b", word) for word in (*language.build, *language.run)):
        # No command depends on the name.
        source = PurePosixPath(f"hello{source.suffix}")
    language = replace(language, source=str(source), template=None)
    least = {name: max(getattr(_LEAST, name), getattr(limits, name)) for name in _ROOM}
    return Job(
        Problem(
            id=1,
            slug="hello",
            title="Hello",
            description="",
            languages={language.name: language},
            limits=msgspec.structs.replace(_LEAST, **least),
            root=_HERE,
            runner="tap",
            tests="hello",
            command=("{python}", "-I", "-S", "run.py"),
            total_tests=1,
        ),
        language.name,
        {str(source): text.replace("CLASS", source.stem)},
    )


_ROOM: Final = ("memory_mb", "build_memory_mb", "total_memory_mb", "processes", "file_size_mb", "disk_mb", "files")


def reference(problem: Problem, language: str) -> Job | None:
    """The first of the problem's own solutions in this language that must pass. None if it has none.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not text.
    """
    for solution in problem.solutions:
        if solution.language == language and solution.expect == "passed":
            name = problem.languages[language].name_of_single(solution.file.name)
            files = solution.files or {name: solution.file}
            return Job(problem, language, {each: path.read_text(encoding="utf-8") for each, path in files.items()})
    return None


def self_test() -> Job:
    """A job with a solution that passes. It needs what most problems need: Python, pytest, and nodes that answer."""
    language = replace(bundled()["python"], source="node.py")
    return Job(
        Problem(
            id=1,
            slug="self-test",
            title="Self-test",
            description="",
            languages={language.name: language},
            limits=_LEAST,
            root=_HERE,
            tests="node",
            total_tests=1,
        ),
        language.name,
        {"node.py": (_HERE / "node" / "node.py").read_text(encoding="utf-8")},
    )
