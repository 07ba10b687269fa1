"""What happens in a cluster is recorded, and becomes the trace of a failed test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from subcli.judge import Job, Problem, judge
from subcli.judge.events import RUN_TRACE, packed_of
from subcli.judge.evidence import Site
from subcli.judge.harness import Message, Network
from subcli.judge.harness.recorder import Blame, Recorder
from subcli.judge.local import can_replay
from subcli.shared.run_trace import RunTrace, decode_trace, unpack
from tests.judge.judging import MakeNode, MakeProblem

Body = dict[str, Any]


@dataclass
class Run:
    """A recorder and the clock that it reads."""

    now_ms: int = 0

    def __post_init__(self) -> None:
        self.recorder = Recorder(lambda: self.now_ms)

    def send(self, src: str, dest: str, *sites: Site, body: Body | None = None) -> Message:
        message = Message(src, dest, body or {"type": "x"}, self.now_ms, sites)
        self.recorder.sent(message)
        return message

    def trace(self, blame: Blame | None = None) -> RunTrace:
        basis = RunTrace(seed=3, nodes=("n1", "n2"), noticed_ms=self.now_ms)
        return decode_trace(self.recorder.trace(basis, blame or Blame("wrong"), lambda message: message.sites))


def test_fates_of_messages() -> None:
    """The network tells what becomes of each: delivered, lost, dropped, cut off, for a node that crashed, under way."""
    run = Run()
    network = Network(1, delay_ms=(5, 5))
    network.observe(run.recorder)

    def send(dest: str = "n2") -> None:
        network.send(run.send("n1", dest))

    send()
    run.now_ms = 5
    for message in network.due(5):
        run.recorder.arrived(message)
    network.loss = 1.0
    send()
    network.loss = 0.0
    end = network.drop(lambda message: True)
    send()
    end()
    send("n3")
    network.forget("n3")
    send()
    network.partition(("n1",), ("n2", "n3"))
    send()
    assert list(network.due(10)) == []
    network.heal()
    send()
    trace = run.trace()
    fates = [message.fate for message in trace.messages]
    assert fates == ["delivered", "lost", "dropped", "crashed", "cut_off", "cut_off", "under_way"]
    assert (trace.messages[0].arrived_ms, trace.messages[1].arrived_ms) == (5, None)
    assert [(mark.kind, mark.groups) for mark in trace.marks] == [("partition", (("n1",), ("n2", "n3"))), ("heal", ())]
    assert max(*(message.no for message in trace.messages), *(mark.no for mark in trace.marks)) == trace.total


def test_partition_from_before_is_told() -> None:
    """A network may have been cut before the cluster is there."""
    run = Run()
    network = Network(1)
    network.partition(("n1",), ("n2",))
    network.observe(run.recorder)
    assert [mark.kind for mark in run.trace().marks] == ["partition"]


def test_what_broke_the_rule() -> None:
    """The messages that the test names, else the one whose lines it has asked for; the moment is the last of them."""
    run = Run()
    run.recorder.note("n1", "leader")
    line = Site("a.py", 3, "f")
    first = run.send("n1", "n2", line)
    run.now_ms = 30
    second = run.send("n2", "n1")
    run.now_ms = 50
    last = run.send("n1", "n2")
    trace = run.trace(Blame("wrong", messages=(first, second)))
    assert [message.broke_rule for message in trace.messages] == [True, True, False]
    assert (trace.moment_ms, trace.noticed_ms, trace.violation) == (30, 50, "wrong")
    place = trace.place_of(trace.messages[0])
    assert place is not None
    assert (place.file, place.line) == ("a.py", 3)
    run.recorder.shown = first
    assert [message.broke_rule for message in run.trace(Blame(sites=(line,))).messages] == [True, False, False]
    assert not any(message.broke_rule for message in run.trace(Blame(sites=(Site("a.py", 9),))).messages)
    # Nothing is blamed: it went wrong when the test noticed.
    assert run.trace().moment_no == run.trace().total
    # An answer that was the same as the one before is recorded if it is to blame.
    answer = Message("n1", "judge", {"type": "read_ok", "term": 1}, 50)
    run.recorder.answered(answer)
    again = Message("n1", "judge", {"type": "read_ok", "term": 1}, 50)
    run.recorder.answered(again)
    for blamed in (answer, again):
        trace = run.trace(Blame("went back", messages=(blamed,)))
        assert [mark.body for mark in trace.marks if mark.broke_rule] == [{"type": "read_ok", "term": 1}]
    assert last.sent_ms == 50


def test_note_precedes_the_message_that_it_is_about() -> None:
    """A test learns that a node is a candidate from its first message; in the picture it is one before."""
    run = Run()
    run.send("n1", "n2")
    run.recorder.note("n1", "candidate")
    run.recorder.note("n2", "asked")
    trace = run.trace()
    assert [(mark.no, mark.text) for mark in trace.marks] == [(1, "candidate"), (3, "asked")]
    assert trace.messages[0].no == 2


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ({"type": "x", "n": 1}, {"type": "x", "n": 1}),
        ({"type": "\ud800"}, {"type": "?"}),
        ({"type": "x", "n": float("nan")}, '{"type": "x", "n": NaN}'),
        ({"type": "x", "n": float("inf")}, '{"type": "x", "n": Infinity}'),
    ],
)
def test_any_body_can_be_read(body: Body, kept: object) -> None:
    """A solution may send what no reader of JSON can read; the trace can be read all the same."""
    run = Run()
    run.send("n1", "n2", body=body)
    assert run.trace().messages[0].body == kept


def test_long_and_deep_bodies_become_text() -> None:
    """They are cut."""
    run = Run()
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    for body in ({"type": "x", "text": "y" * 5_000}, {"type": "x", "deep": deep}):
        run.send("n1", "n2", body=body)
    for message in run.trace().messages:
        assert isinstance(message.body, str)
        assert len(message.body) < 1_200


@pytest.mark.thorough
def test_bounded_whatever_happens() -> None:
    """Of a long run, what is near to the violation is kept, what broke the rule, and who was up before."""
    run = Run()
    run.recorder.mark("start", "n1")
    run.recorder.mark("kill", "n1")
    run.recorder.mark("start", "n1")
    early = run.send("n1", "n2")
    for number in range(60_000):
        run.now_ms = number
        run.send("n1", "n2", body={"type": "x", "text": "y" * 900})
    blamed = run.send("n2", "n1")
    for _ in range(2_000):
        run.send("n1", "n2")
    data = run.recorder.trace(RunTrace(), Blame("wrong", messages=(blamed,)), lambda message: message.sites)
    trace = decode_trace(data)
    assert len(data) <= 256 * 1024
    assert [message.no for message in trace.messages if message.broke_rule] == [trace.moment_no]
    assert trace.total == 62_005
    assert len(trace.messages) > 100
    # What is too old is forgotten; blaming it does no harm.
    assert run.trace(Blame(messages=(early,))).moment_no > 60_000


def test_state_before_what_is_kept() -> None:
    """Without the last start or crash of each node, the rest could not be drawn."""
    run = Run()
    for kind in ("start", "kill"):
        run.recorder.mark(kind, "n1")
    run.recorder.mark("start", "n2")
    blamed = run.send("n1", "n2")
    for _ in range(5_000):
        run.send("n2", "n1")
    last = run.send("n2", "n1")
    trace = run.trace(Blame(messages=(blamed, last)))
    assert [(mark.kind, mark.node) for mark in trace.marks] == [("kill", "n1"), ("start", "n2")]
    assert [message.broke_rule for message in trace.messages].count(True) == 2
    assert trace.messages[0].broke_rule


async def traces(problem: Problem, source: str, *only: str) -> tuple[list[RunTrace], list[dict[str, Any]]]:
    """The traces of a solution's failures, and all other events."""
    language = problem.languages["python"]
    job = Job(problem, "python", {language.source: source}, traced=True, only=only)
    events = [event async for event in judge(job)]
    found = [decode_trace(unpack(packed_of(event))) for event in events if event["type"] == RUN_TRACE]
    return found, [event for event in events if event["type"] != RUN_TRACE]


@pytest.mark.thorough
async def test_trace_of_a_failure(election: Problem, solution: Callable[[str], str]) -> None:
    """It names its seed and its inputs, the messages that broke the rule, and the lines that sent them."""
    only = "test_election.py::test_split_vote"
    (trace,), events = await traces(election, solution("failing.py"), only)
    (result,) = (event for event in events if event["type"] == "test_result")
    assert (result["test_name"], result["seed"], result["has_trace"]) == ("Split Vote", trace.seed, True)
    assert trace.violation == result["message"]
    assert trace.nodes == ("n1", "n2", "n3", "n4")
    broke = [message for message in trace.messages if message.broke_rule]
    assert [message.type for message in broke] == ["request_vote", "vote"]
    assert broke[0].src == broke[1].src == trace.node or trace.node == ""
    place = trace.place_of(broke[1])
    assert place is not None
    assert place.file == "node.py"
    assert '"vote"' in place.text
    assert trace.moment_ms == broke[1].ms < trace.noticed_ms
    inits = {mark.node: mark.body for mark in trace.marks if mark.kind == "start"}
    assert inits.keys() == set(trace.nodes)
    assert all(isinstance(body, dict) and body["seed"] for body in inits.values())
    assert {"candidate in term 1"} <= {mark.text for mark in trace.marks if mark.kind == "note"}
    # The same again is the same.
    (again,), _ = await traces(election, solution("failing.py"), only)
    assert again == trace
    assert can_replay(election)


async def test_only_who_wants_traces_gets_them(election: Problem, solution: Callable[[str], str]) -> None:
    """The judge's other callers see what they saw before."""
    job = Job(election, "python", {"node.py": solution("failing.py")}, only=("test_election.py::test_split_vote",))
    events = [event async for event in judge(job)]
    assert [event["type"] for event in events].count(RUN_TRACE) == 0
    (result,) = (event for event in events if event["type"] == "test_result")
    assert "seed" not in result
    assert "has_trace" not in result


@pytest.mark.thorough
async def test_trace_of_a_node_that_died(tiny: MakeProblem, node: MakeNode) -> None:
    """No message broke a rule: the moment is when the test noticed, and the node is named. Paths of ours are hidden."""
    problem = tiny()
    source = node(start="import os\n", tick='os._exit(3) if body["now_ms"] == 50 else None')
    (trace,), _ = await traces(problem, source)
    assert (trace.node, trace.moment_ms, trace.noticed_ms) == ("n1", 50, 50)
    assert trace.violation.startswith("n1 exited with code 3")
    leaking = node(
        start="import os\n", init='print(json.dumps({"dest": "n1", "body": {"type": os.getcwd()}}))', tick="1/0"
    )
    (trace,), _ = await traces(problem, leaking)
    assert "/" not in trace.messages[0].type
    assert not can_replay(problem)


@pytest.mark.thorough
async def test_only_some_tests(election: Problem, solution: Callable[[str], str]) -> None:
    """As in a replay: the others are not even announced."""
    only = ("test_election.py::test_leader_election", "test_election.py::test_split_vote")
    _, events = await traces(election, solution("passing.py"), *only)
    assert events[-1]["summary"]["total_tests"] == 2
    assert events[-1]["final_status"] == "passed"


SEEDS = """
import random
import pytest
from subcli.judge.harness import Network, Violation

@pytest.mark.parametrize("seed", range(1, {count} + 1))
def test_first_comes_first(make_cluster, seed):
    network = Network(seed, delay_ms=(1, 60), loss=0.2)
    cluster = make_cluster(3, seed=seed, network=network)
    for _ in range(200):
        cluster.step()
        late = [m for m in cluster.log if m.type == "late"]
        if late:
            raise Violation(f"{{late[0].src}} was late by {{late[0].body['by']}}", culprit=late[0])
"""
GOSSIP = """
import json, random, sys

def send(dest, **body):
    print(json.dumps({"src": me, "dest": dest, "body": body}), flush=True)

heard = {}
for line in sys.stdin:
    message = json.loads(line)
    body = message["body"]
    if body["type"] == "init":
        me, others = body["node_id"], [n for n in body["node_ids"] if n != body["node_id"]]
        rng, count = random.Random(body["seed"]), 0
        send("judge", type="init_ok")
    elif body["type"] == "tick":
        for each in set(others):
            if rng.random() < 0.3:
                count += 1
                send(each, type="number", n=count)
        send("judge", type="tick_ok")
    elif body["type"] == "number":
        if body["n"] < heard.get(message["src"], 0):
            send(message["src"], type="late", by=heard[message["src"]] - body["n"])
        heard[message["src"]] = max(heard.get(message["src"], 0), body["n"])
"""


@pytest.mark.thorough
async def test_each_failing_seed_gives_the_same_violation(tiny: MakeProblem) -> None:
    """Delays, losses, reordering, the nodes' own random numbers: everything follows from the seed."""
    count = 5
    problem = tiny(
        SEEDS.format(count=count), limits="test_seconds = 60\nanswer_seconds = 20\nsubmission_seconds = 900\n"
    )
    first, events = await traces(problem, GOSSIP)
    results = [event for event in events if event["type"] == "test_result"]
    assert [(event["status"], event["seed"]) for event in results] == [("failed", seed) for seed in range(1, count + 1)]
    second, _ = await traces(problem, GOSSIP)
    assert second == first
    assert len({trace.digest for trace in first}) == count
