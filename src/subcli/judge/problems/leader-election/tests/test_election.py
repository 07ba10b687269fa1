"""Ten tests of a leader election over a simulated network, some of them over two seeds."""

from __future__ import annotations

import pytest
from election import SECOND, describe, start

from subcli.judge.harness import Message, Network, Violation


@pytest.mark.title("Leader Election")
def test_leader_election(make_cluster):
    """Three nodes agree on a leader."""
    for seed in (1, 2):
        election = start(make_cluster, 3, seed)
        election.await_leader(2 * SECOND)


@pytest.mark.title("Five Nodes Agree")
def test_five_nodes(make_cluster):
    """Five nodes agree, on a slower network."""
    election = start(make_cluster, 5, 11, network=Network(11, delay_ms=(5, 25)))
    election.await_leader(3 * SECOND)


@pytest.mark.title("A Stable Leader Stays")
def test_stability(make_cluster):
    """While the leader's heartbeats arrive, nobody else stands for election."""
    election = start(make_cluster, 5, 21)
    chief = election.await_leader()
    term = chief.body["term"]
    election.cluster.run(3 * SECOND)
    later = election.leader()
    if later is None or later.src != chief.src or later.body["term"] != term:
        states = election.states()
        standing = next(
            (
                m
                for m in election.cluster.log
                if m.type == "request_vote" and election.cluster.integer(m, "term") > term
            ),
            None,
        )
        raise Violation(
            f"{chief.src} led term {term} and lost it although nothing had failed",
            expected=f"{chief.src} still leader of term {term}",
            actual=describe(states),
            sites=election.cluster.where(standing) if standing else (),
            explanation="The network lost nothing and no node was killed."
            + (f" {standing.src} stood for election all the same." if standing else ""),
            suggestions=(
                "Does every heartbeat of the present term put the election timeout off?",
                "Does the leader send heartbeats every heartbeat_ms?",
            ),
        )


@pytest.mark.title("Re-election After a Crash")
@pytest.mark.kind("chaos")
def test_reelection(make_cluster):
    """When the leader dies, the others elect another one in a later term; it comes back as a follower."""
    for size, seed in ((3, 31), (5, 33)):
        election = start(make_cluster, size, seed)
        old = election.await_leader()
        election.cluster.kill(old.src)
        new = election.await_leader()
        _check_later(election, old, new)
        election.cluster.start(old.src)
        back = election.await_leader()
        if back.body["term"] < new.body["term"]:
            raise Violation(
                f"the term went back from {new.body['term']} to {back.body['term']}",
                expected=f"term {new.body['term']} or later",
                actual=f"term {back.body['term']}",
                sites=election.cluster.where(back),
            )


@pytest.mark.title("One Leader per Term")
@pytest.mark.kind("chaos")
def test_one_leader_per_term(make_cluster):
    """However often nodes stand at the same time, no term ever has two leaders."""
    for seed in (41, 42):
        network = Network(seed, delay_ms=(1, 30), loss=0.05)
        election = start(make_cluster, 5, seed, network=network, timeout_ms=(150, 170))
        for _ in range(3):
            election.cluster.run(SECOND)
            election.check_one_leader_per_term()
            heard = [m for m in election.cluster.log if m.type == "heartbeat"]
            if not heard:
                # Where nobody ever leads, nothing is shown by there being no second leader.
                election.await_leader()
            elif heard[-1].src in election.cluster.alive:
                election.cluster.kill(heard[-1].src)
                election.cluster.run(SECOND // 2)
                election.cluster.start(heard[-1].src)
        election.check_one_leader_per_term()


@pytest.mark.title("Split Vote")
def test_split_vote(make_cluster):
    """Two candidates at once: everyone votes for one of them, and a later term decides."""
    first_two = ("n1", "n2")
    election = start(
        make_cluster,
        4,
        51,
        network=Network(51, delay_ms=(8, 8)),
        timeout_ms=lambda name: (150, 150) if name in first_two else (600, 900),
    )
    election.cluster.run(200)
    election.check_one_vote_per_term()
    for name in first_two:
        # From here on they wait for as long as everyone else, as after any restart.
        election.cluster.kill(name)
    election.cluster.start(*first_two)
    election.await_leader(6 * SECOND)
    election.check_one_vote_per_term()


@pytest.mark.title("Partition Heals")
@pytest.mark.kind("chaos")
def test_partition_heals(make_cluster):
    """A leader cut off from the majority is replaced, and follows its successor when the partition ends."""
    election = start(make_cluster, 5, 61)
    cluster = election.cluster
    old = election.await_leader()
    friend = next(name for name in cluster.names if name != old.src)
    majority = tuple(name for name in cluster.names if name not in (old.src, friend))
    cluster.network.partition((old.src, friend), majority)
    new = election.await_leader(among=majority)
    _check_later(election, old, new)
    cluster.network.heal()
    election.await_leader()
    state = election.state(old.src)
    if state.body["term"] < new.body["term"]:
        raise Violation(
            f"{old.src} is still in term {state.body['term']} after the partition has ended",
            expected=f"term {new.body['term']} or later",
            actual=f"term {state.body['term']}",
            sites=cluster.where(state),
        )


@pytest.mark.title("No Leader Without a Majority")
@pytest.mark.kind("chaos")
def test_no_majority(make_cluster):
    """Two of five nodes never elect a leader, however long they try."""
    election = start(make_cluster, 5, 71)
    cluster = election.cluster
    old = election.await_leader()
    others = [name for name in cluster.names if name != old.src]
    for name in (old.src, *others[:2]):
        cluster.kill(name)
    before = len(cluster.log)
    cluster.run(3 * SECOND)
    claims = [message for message in cluster.log[before:] if message.type == "heartbeat"]
    if claims:
        claim = claims[0]
        raise Violation(
            f"{claim.src} leads term {claim.body.get('term')} with two of five nodes",
            expected="no leader while three of five nodes are down",
            actual=f"heartbeats of {claim.src}",
            sites=cluster.where(claim),
            explanation="Two nodes of five are no majority. Votes count against all nodes of the cluster, "
            "also those that do not answer.",
            suggestions=("Compare the number of votes with len(node_ids) // 2 + 1.",),
        )
    cluster.start(others[0])
    election.await_leader(4 * SECOND)


@pytest.mark.title("Terms Survive a Restart")
def test_terms_survive(make_cluster):
    """A node that was killed and started again is in the term that it was in, or a later one."""
    election = start(make_cluster, 3, 81)
    election.await_leader()
    for name in election.cluster.names:
        before = election.state(name)
        election.cluster.kill(name)
        election.cluster.start(name)
        after = election.state(name)
        if after.body["term"] < before.body["term"]:
            raise Violation(
                f"{name} went back from term {before.body['term']} to term {after.body['term']} by a restart",
                expected=f"term {before.body['term']} or later",
                actual=f"term {after.body['term']}",
                sites=election.cluster.where(after),
                explanation="A node that forgets its term can vote a second time in it.",
                suggestions=(
                    'Send {"type": "save"} to "disk" whenever the term or the vote changes, before anything else.',
                    'Take the term and the vote from "saved" in init.',
                ),
            )
        election.await_leader()


@pytest.mark.title("Lossy Network")
@pytest.mark.kind("chaos")
def test_loss(make_cluster):
    """With one message in five lost, there is still a leader before long."""
    for seed in (91, 92):
        election = start(make_cluster, 5, seed, network=Network(seed, delay_ms=(1, 15), loss=0.2))
        election.await_leader(5 * SECOND)


def _check_later(election, old: Message, new: Message) -> None:
    if new.body["term"] <= old.body["term"]:
        raise Violation(
            f"{new.src} leads term {new.body['term']}, which {old.src} had led before it",
            expected=f"a term after {old.body['term']}",
            actual=f"term {new.body['term']}",
            sites=election.cluster.where(new),
            explanation="A new election always begins with a new term.",
            suggestions=("Raise the term by one before standing for election.",),
        )
