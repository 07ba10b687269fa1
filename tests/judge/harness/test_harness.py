"""The simulated network, and a cluster under it."""

from __future__ import annotations

import pytest

from subcli.judge.harness import Message, Network
from tests.judge.judging import MakeProblem, Run


def _message(src: str, dest: str, at: int = 0, kind: str = "x") -> Message:
    return Message(src, dest, {"type": kind}, at)


def _deliveries(network: Network, until: int) -> list[tuple[int, str]]:
    return [(now, message.dest) for now in range(until) for message in network.due(now)]


def test_same_seed_gives_the_same_deliveries() -> None:
    """Another seed gives others."""

    def run(seed: int) -> list[tuple[int, str]]:
        network = Network(seed, delay_ms=(1, 50), loss=0.3)
        for number in range(100):
            network.send(_message("n1", f"n{number}", number))
        return _deliveries(network, 200)

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 50 < len(run(1)) < 90


def test_delay_stays_within_bounds() -> None:
    """Messages may overtake each other, but none is early or late."""
    network = Network(3, delay_ms=(5, 20))
    for number in range(200):
        network.send(_message("n1", str(number), 100))
    arrivals = _deliveries(network, 200)
    assert len(arrivals) == 200
    assert {now for now, _ in arrivals} <= set(range(105, 121))
    assert [int(dest) for _, dest in arrivals] != list(range(200))


def test_partition_stops_messages_on_their_way() -> None:
    """Only members of one group reach each other; a node in no group is isolated."""
    network = Network(1, delay_ms=(10, 10))
    network.send(_message("n1", "n3"))
    network.partition(("n1", "n2"), ("n3",))
    network.send(_message("n1", "n2"))
    network.send(_message("n1", "n4"))
    assert [dest for _, dest in _deliveries(network, 20)] == ["n2"]
    network.heal()
    network.send(_message("n1", "n3"))
    assert [message.dest for message in network.due(30)] == ["n3"]


def test_rules_drop_messages_until_they_are_removed() -> None:
    """A rule sees each message; the function that `drop` returns removes it."""
    network = Network(1, delay_ms=(0, 0))
    end = network.drop(lambda message: message.type == "vote")
    network.send(_message("n1", "n2", kind="vote"))
    network.send(_message("n1", "n2", kind="heartbeat"))
    end()
    network.send(_message("n1", "n2", kind="vote"))
    assert [message.type for message in network.due(1)] == ["heartbeat", "vote"]


@pytest.mark.thorough
async def test_cluster_kills_restarts_saves_and_delivers(run: Run, tiny: MakeProblem) -> None:
    """What was saved comes back in init; the rest, and what was on its way to a dead node, is lost."""
    tests = """
def test_disk(make_cluster):
    cluster = make_cluster(2, seed=4)
    assert cluster.alive == ("n1", "n2")
    cluster.run(50)
    counted = cluster.request("n1", {"type": "read"}, "read_ok").body
    assert counted == {"type": "read_ok", "ticks": 5, "heard": 4, "boots": 1}
    cluster.kill("n1")
    assert cluster.alive == ("n2",)
    cluster.run(30)
    cluster.start("n1")
    assert cluster.disk["n1"] == {"boots": 2}
    assert cluster.request("n1", {"type": "read"}, "read_ok").body["boots"] == 2
    cluster.run(20)
    assert cluster.now_ms == 100

def test_deliver(make_cluster):
    cluster = make_cluster(1, strangers=("s1",))
    answers = cluster.deliver("s1", "n1", {"type": "hello"})
    assert [(m.dest, m.type) for m in answers] == [("s1", "welcome")]
    assert cluster.now_ms == 0

def test_time_passes_until(make_cluster):
    cluster = make_cluster(1)
    assert cluster.run_until(lambda: cluster.now_ms >= 30, 1_000)
    assert cluster.now_ms == 30
    assert not cluster.run_until(lambda: False, 40)
"""
    source = """
import json, sys

def send(dest, type, **fields):
    print(json.dumps({"dest": dest, "body": {"type": type, **fields}}), flush=True)

for line in sys.stdin:
    message = json.loads(line)
    src, body = message["src"], message["body"]
    if body["type"] == "init":
        ticks = heard = 0
        me, others = body["node_id"], [name for name in body["node_ids"] if name != body["node_id"]]
        boots = body.get("saved", {"boots": 0})["boots"] + 1
        send("disk", "save", data={"boots": boots})
        send(src, "init_ok")
    elif body["type"] == "tick":
        ticks += 1
        for other in others:
            if other != "s1":
                send(other, "ping")
        send(src, "tick_ok")
    elif body["type"] == "read":
        send(src, "read_ok", ticks=ticks, heard=heard, boots=boots)
    elif body["type"] == "hello":
        send(src, "welcome")
    else:
        heard += 1
"""
    judged = await run(tiny(tests), source)
    assert judged.verdict == "passed", judged.of("test_result")
