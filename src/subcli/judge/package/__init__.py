"""ICPC/Kattis problem packages: directories with a `problem.yaml`, as Kattis, DOMjudge and problemtools use them.

package      one directory → Problem, the whole of it or a ProblemError
metadata     problem.yaml: type, limits, validation
tree         data/: directories and cases
legacy       their groups, by `testdata.yaml`
modern       their groups, by `test_group.yaml`
programs     validators and graders → Tool
statement    problem_statement/ or statement/ → Markdown; latex.py reads LaTeX
submissions  submissions/ → solutions, and what is expected of them

Versions: legacy, 2023-07-draft and 2025-09. https://www.kattis.com/problem-package-format/
"""
