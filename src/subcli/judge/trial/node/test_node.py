"""The test of the self-test: a node starts, answers and ends."""


def test_answers(make_cluster):
    """Answers"""
    make_cluster(1).run(100)
