"""Graders: files of the author's that run beside a solution, in its sandbox, and write down what they found.

model       what a problem with `runner = "grader"` is, and one result
toml        its table in `problem.toml`
packages    the Python packages that it may import
junit       results in JUnit XML
gradescope  results in Gradescope's results.json
jest        what `jest --json` writes
go          what `go test -json` prints
printed     what Rust's test harness and Unity print

The parsers are pure. What they read may have been written by the solution, which shares the grader's sandbox.
"""
