"""Problems whose tests are cases: an input, an answer, and a comparison or a checker that decides.

model       what a problem of cases is, however it was written: an ICPC package, or `runner = "cases"`
grading     which case runs next, and what groups and the whole are worth
compare     the built-in comparison of an output with an answer
toml        cases as `problem.toml` describes them: `runner = "cases"`
feedback    whose eyes a case is for
selection   some of the cases, for whoever has them all
difference  what a learner needs of a wrong answer
"""
