"""The judge's table of languages, what may be changed in it, and which file of a solution is started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from subcli.judge import ProblemError, load_problem
from subcli.judge.analysis.traces import _OF_RUNTIME
from subcli.judge.languages import table
from subcli.judge.languages.language import Language
from subcli.judge.problem_file import load_valid_problems
from subcli.judge.shelf import problem_shelf
from subcli.judge.snapshot import snapshot_of_one
from subcli.shared.toml import TomlError
from subcli.workspace.languages import _ENDINGS

ALL = [
    *("c", "cpp", "python", "pypy", "java", "kotlin", "go", "rust"),
    *("javascript", "typescript", "csharp", "haskell", "ruby"),
]
JAVA = "class {} {{ static class Inner {{}} public static void main(String[] words) {{ }} }}"
PROBLEM = 'id = 700\nslug = "sum"\ntitle = "Sum"\n'


def write_problem(root: Path, text: str) -> Path:
    (root / "tests").mkdir(parents=True, exist_ok=True)
    (root / "description.md").write_text("Add.", encoding="utf-8")
    (root / "problem.toml").write_text(PROBLEM + text, encoding="utf-8")
    return root


def test_all_languages_are_there() -> None:
    """Each has what a problem needs, and a way to tell its version; its tracebacks are read by a reader that exists."""
    assert [each.name for each in table.all()] == ALL
    for each in table.all():
        assert each.title
        assert each.version
        assert Path(each.source).suffix in each.endings
        assert each.traceback in ("", *_OF_RUNTIME)
    assert table.language("cpp").title == "C++"
    with pytest.raises(KeyError):
        table.language("cobol")


def test_client_and_judge_agree_on_endings() -> None:
    """What the client takes for a file of a language is one to the judge, and the other way round."""
    of_judge = {each.name: {*each.endings, *each.companions} for each in table.all()}
    of_client = {name: {ending for ending, names in _ENDINGS.items() if name in names.split()} for name in of_judge}
    assert of_judge == of_client


@pytest.mark.parametrize(
    ("language", "files", "entry"),
    [
        ("python", {"main.py": "", "a.py": ""}, "main.py"),
        ("python", {"__main__.py": "", "a.py": ""}, "__main__.py"),
        ("python", {"a.py": "", "data.txt": "", "a.pyi": ""}, "a.py"),
        ("python", {"a.py": "", "b.py": ""}, None),
        ("python", {"a.txt": ""}, None),
        ("cpp", {"b.cc": "", "a.cpp": "", "a.h": ""}, "a.cpp"),
        ("cpp", {"a.h": ""}, None),
        ("c", {"x/a.c": ""}, "x/a.c"),
        ("java", {"A.java": JAVA.format("A"), "Main.java": "class Main {}"}, "A.java"),
        ("java", {"A.java": JAVA.format("A"), "B.java": JAVA.format("B")}, None),
        ("java", {"A.java": JAVA.format("A"), "Main.java": JAVA.format("Main")}, "Main.java"),
        ("java", {"A.java": "// static void main(", "B.java": JAVA.format("B")}, "B.java"),
        ("java", {"A.java": '/* static void main( */ "static void main("', "B.java": JAVA.format("B")}, "B.java"),
        ("rust", {"a.rs": "pub fn f() {}", "b.rs": "fn main() {}"}, "b.rs"),
        ("go", {"b.go": "", "a.go": ""}, "a.go"),
        ("kotlin", {"b.kt": "fun main() {}", "a.kt": ""}, "a.kt"),
        ("javascript", {"index.js": "", "util.js": ""}, "index.js"),
        ("javascript", {"main.mjs": "", "util.mjs": ""}, "main.mjs"),
        ("haskell", {"A.hs": "main :: IO ()\nmain = f", "B.hs": "domain = 3"}, "A.hs"),
        ("ruby", {"x.rb": ""}, "x.rb"),
    ],
)
def test_file_to_start(language: str, files: Mapping[str, str], entry: str | None) -> None:
    """It is the one with the main function, the usual name or the only one; who compiles all needs none."""
    assert table.language(language).entry(files) == entry


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (JAVA.format("A"), "A"),
        ("package a.b;\n" + JAVA.format("A"), "a.b.A"),
        (
            "class B { void f() { } }\nfinal class A { static int x = 1; static final void main(String... a) {} }",
            "A",
        ),
        ("class A { enum E { X } static class B { public static void main (String[] a) {} } }", "A$B"),
        ("interface A { static void main(String[] a) { Object o = B.class; } }", "A"),
        ("class A { String s = \"}{ class X {\"; char c = '}'; /* } */ public static void main(String[] a) {} }", "A"),
        ("record A(int x) { public static void main(String[] a) {} }", "A"),
        ("void main() {}", "Solution"),
    ],
)
def test_main_class_is_found(text: str, name: str) -> None:
    """`java` is started with the class around the main method, whatever the file is called."""
    java = table.language("java")
    assert java.expand(("{class}",), {"Solution.java": text}, "Solution.java") == (name,)


@pytest.mark.parametrize(
    ("language", "submitted", "text", "judged"),
    [
        ("java", None, "public class Sum { }", "Sum.java"),
        ("java", "x.java", "abstract class X {} public final class Sum { }", "Sum.java"),
        ("java", "Sum.java", "class Sum { }", "Sum.java"),
        ("java", None, "class Sum { }", "Main.java"),
        ("cpp", "sum.cc", "", "sum.cc"),
        ("cpp", "sum.h", "", "main.cpp"),
        ("typescript", "sum.ts", "", "sum.ts"),
    ],
)
def test_single_file_is_named_as_its_language_wants(
    language: str, submitted: str | None, text: str, judged: str
) -> None:
    """A public Java class names its file; other files keep their names."""
    assert table.language(language).name_of_single(submitted, text) == judged


@pytest.mark.thorough
def test_hostile_sources_take_no_time() -> None:
    """What looks for a main function reads each character a bounded number of times."""
    java = table.language("java")
    for bait in ("/*", '"""', '"', "'", "class ", "package ", "public final ", "static ", "{", "//", '"\\'):
        assert java.entry({"A.java": bait * 100_000, "B.java": ""}) is None
        java.name_of_single(None, bait * 100_000)
        java.expand(("{class}",), {"A.java": bait * 100_000 + JAVA.format("A")}, "A.java")
    for space in "\n\t ":
        assert java.expand(("{class}",), {"A.java": space * 1_000_000 + JAVA.format("A")}, "A.java") == ("A",)
        java.expand(("{class}",), {"A.java": bait * 100_000 + "static void main("}, "A.java")


def test_placeholder_for_the_name_without_ending() -> None:
    """TypeScript runs what was made of its source."""
    assert Language("x", "a.ts", ("{stem}",)).expand(("{stem}.js",), {"b/-a.ts": ""}, "b/-a.ts") == ("b/-a.js",)
    assert Language("x", "a.ts", ("{stem}",)).expand(("{stem}.js",), {"-a.ts": ""}, "-a.ts") == ("./-a.js",)


def test_problem_names_languages(tmp_path: Path) -> None:
    """By a list, by "all", or by tables that inherit what they do not say."""
    root = write_problem(tmp_path / "sum", 'languages = ["python", "cpp"]\n')
    problem = load_problem(root)
    assert dict(problem.languages) == {name: table.language(name) for name in ("python", "cpp")}
    write_problem(root, 'languages = "all"\n')
    assert list(load_problem(root).languages) == ALL
    write_problem(root, '[languages.python]\nsource = "sum.py"\n[languages.c]\nrun = ["tcc", "-run", "{source}"]\n')
    languages = load_problem(root).languages
    assert languages["python"].source == "sum.py"
    assert languages["python"].run == table.language("python").run
    assert languages["c"].run == ("tcc", "-run", "{source}")
    assert languages["c"].build == ()
    assert languages["c"].programs == ("tcc",)
    write_problem(root, '[languages.python]\nsource = "sum.pyx"\n')
    assert load_problem(root).languages["python"].source_endings == (".pyx",)
    write_problem(root, 'languages = ["python", "pyhton"]\n')
    with pytest.raises(ProblemError, match=r"toml:4: `languages\[1\]` must be .* not 'pyhton'\. Did you mean `python`"):
        load_problem(root)
    for name, value, lacking in (("source", "'x'", "run"), ("run", "['x']", "source")):
        write_problem(root, f"[languages.cobol]\n{name} = {value}\n")
        with pytest.raises(ProblemError, match=rf"toml:4: `languages\.cobol\.{lacking}` is missing; it must be"):
            load_problem(root)
    write_problem(root, "languages = []\n")
    with pytest.raises(ProblemError, match='toml:4: `languages` must be a list of languages, "all", or tables'):
        load_problem(root)
    write_problem(root, 'languages = "most"\n')
    with pytest.raises(ProblemError, match='toml:4: `languages` must be a list of languages, "all", or'):
        load_problem(root)


def test_operator_adds_and_changes_languages(tmp_path: Path) -> None:
    """`languages.toml` beside the problems, or another file, has the form of the judge's own."""
    write_problem(tmp_path / "sum", 'languages = ["lua", "python"]\n')
    own = '[lua]\nsource = "main.lua"\nrun = ["lua", "{source}"]\n[python]\ntitle = "Snake"\n'
    (tmp_path / "languages.toml").write_text(own, encoding="utf-8")
    problem = load_problem(tmp_path / "sum")
    assert problem.languages["lua"].run == ("lua", "{source}")
    assert problem.languages["python"].title == "Snake"
    assert problem.languages["python"].run == table.language("python").run
    problems, broken = load_valid_problems(tmp_path)
    assert not broken
    assert problems["sum"].languages == problem.languages
    assert problems["leader-election"].languages["python"].title == "Snake"
    other = tmp_path / "other.toml"
    other.write_text(own.replace("Snake", "Adder"), encoding="utf-8")
    problems, _ = load_valid_problems(tmp_path, languages=other)
    assert problems["sum"].languages["python"].title == "Adder"
    # A server and `problems check` read a copy.
    with problem_shelf(tmp_path) as copied:
        assert copied.problems["sum"].languages["python"].title == "Snake"
    with problem_shelf(tmp_path, languages=other) as copied:
        assert copied.problems["sum"].languages["python"].title == "Adder"
    with snapshot_of_one(tmp_path / "sum") as checked:
        assert checked.languages["python"].title == "Snake"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[lua]\nrun = ['lua']\n", "languages.toml:1: `lua.source` is missing"),
        ("[lua]\nsource = 'x'\nrun = 'lua'\n", "languages.toml:3: `lua.run` must be a list of strings"),
        ("[python]\nsorce = 'x'\n", "languages.toml:2: unknown key `python.sorce`"),
        ("python = 3\n", "languages.toml:1: `python` must be a table that describes a language"),
        ("[Python]\n", "languages.toml:1: `Python` must be a name in lower-case letters"),
        ("[python", "languages.toml: not valid TOML"),
        ("['\u202e']\n", "must be a name in lower-case letters"),
        ("[[python]]\n", "languages.toml:1: `python` must be a table that describes a language"),
        ("[lua]\nsource = 'x'\nrun = []\n", "languages.toml:3: `lua.run` must be a list of strings"),
        ("[lua]\nsource = 'x'\nrun = ['a', 1]\n", "languages.toml:3: `lua.run` must be a list of strings"),
        (
            "[lua]\nsource = '../x'\nrun = ['x']\n",
            "languages.toml:2: `lua.source` must be a relative path that contains no",
        ),
        ("[lua]\nsource = '/etc/passwd'\nrun = ['x']\n", "languages.toml:2: `lua.source` must be a relative path"),
        (
            "[python]\nendings = ['py']\n",
            "languages.toml:2: `python.endings` must be a list of endings with their dots",
        ),
        ("[python]\nmain = '('\n", "languages.toml:2: `python.main` must be a regular expression"),
        ("[python]\ntraceback = 'cobol'\n", "languages.toml:2: `python.traceback` must be one of python, java"),
        ("[python]\nbounded_address_space = 1\n", "`python.bounded_address_space` must be true or false"),
        ("[python]\nversion = [['x']]\n", "languages.toml:2: `python.version` must be a list of strings"),
        ("[python.inner]\nrun = ['x']\n", "languages.toml:1: unknown key `python.inner`"),
    ],
)
def test_mistakes_of_operators_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    """The error names file, line and key, and no problem is loaded without its languages."""
    path = tmp_path / "languages.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TomlError) as caught:
        table.languages_in(tmp_path)
    assert complaint in str(caught.value)
    with pytest.raises(ProblemError) as refused, problem_shelf(tmp_path):
        pass
    assert str(refused.value).startswith(str(path))
    assert complaint in str(refused.value)
