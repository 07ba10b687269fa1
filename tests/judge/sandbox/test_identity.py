"""The users of a submission, where the judge is root."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from subcli.judge.process.confine import FIRST_APART
from subcli.judge.process.starter import CONFINE
from subcli.judge.sandbox import identity
from subcli.judge.sandbox.identity import next_user, node_option
from tests.hang import HANG_S

SHOW = "import os; print(os.getresuid(), os.getresgid(), os.getgroups(), flush=True); input()"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")
def test_each_node_has_a_user_of_its_own() -> None:
    """In the group of its submission, which its builds and its files belong to."""
    user = next_user()
    assert user is not None
    command = [sys.executable, "-I", "-S", str(CONFINE), node_option(user), "--", "/usr/bin/python3", "-c", SHOW]
    nodes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") for _ in range(2)]
    users = [FIRST_APART + node.pid for node in nodes]
    shown = []
    for node in nodes:
        assert node.stdout is not None
        shown.append(node.stdout.readline().decode().strip())
    for node in nodes:
        node.communicate(b"\n", timeout=HANG_S)
    assert shown == [f"{(each,) * 3} {(user,) * 3} []" for each in users]
    assert users[0] != users[1]
    assert user not in users


def test_container_with_few_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a node is the submission's user, as is one of a submission that got a low id."""
    assert node_option(65_521) == "--user=65521"
    monkeypatch.setattr(identity, "_is_mapped", lambda numbers: numbers[0] < FIRST_APART)
    assert node_option(1_900_000_001) == "--user=1900000001"
