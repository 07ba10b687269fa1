"""Words for elections: who leads, who voted for whom, and the sentences for what must not be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from subcli.judge.harness import Cluster, Message, Network, Violation

TIMEOUT_MS = (150, 300)
HEARTBEAT_MS = 50
SECOND = 1_000
ONE_VOTE = "A node has one vote in a term: remember whose it is, and refuse all others until the term changes."
ROLES = ("follower", "candidate", "leader")


class Election:
    """A cluster, and a ledger of what its nodes said in which term."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.votes: dict[tuple[str, int], dict[str, Message]] = {}
        self.leaders: dict[int, dict[str, Message]] = {}
        self.stood: dict[tuple[str, int], Message] = {}
        """The first request for votes of each node in each term."""
        cluster.watch(self._note)

    def _note(self, message: Message) -> None:
        if message.type == "vote" and message.body.get("granted") is True:
            term = self.cluster.integer(message, "term")
            self.votes.setdefault((message.src, term), {}).setdefault(message.dest, message)
        elif message.type == "heartbeat":
            term = self.cluster.integer(message, "term")
            of_term = self.leaders.setdefault(term, {})
            if message.src not in of_term:
                of_term[message.src] = message
                self.cluster.note(message.src, f"leader in term {term}")
        elif message.type == "request_vote":
            self._note_candidate(message)

    def _note_candidate(self, message: Message) -> None:
        term = message.body.get("term")
        if isinstance(term, int) and (message.src, term) not in self.stood:
            self.stood[message.src, term] = message
            self.cluster.note(message.src, f"candidate in term {term}")

    # -- asking

    def state(self, name: str) -> Message:
        """The node's `read_ok`, with all that belongs in it."""
        return self._checked(self.cluster.request(name, {"type": "read"}, "read_ok"))

    def states(self) -> list[Message]:
        return [self._checked(message) for message in self.cluster.request_all({"type": "read"}, "read_ok")]

    def _checked(self, message: Message) -> Message:
        self.cluster.integer(message, "term")
        if self.cluster.text(message, "role") not in ROLES:
            raise Violation(
                f"{message.src} says that its role is {message.body['role']!r}",
                expected="follower, candidate or leader",
                actual=str(message.body["role"]),
                sites=self.cluster.where(message),
            )
        return message

    def leader(self, among: tuple[str, ...] | None = None) -> Message | None:
        """The one of `among` (default: all that run) whom all of them call leader of the same term."""
        states = [state for state in self.states() if among is None or state.src in among]
        leading = [state for state in states if state.body["role"] == "leader"]
        if len(leading) != 1:
            return None
        chief = leading[0]
        agreed = all(
            state.body["term"] == chief.body["term"] and state.body.get("leader") == chief.src for state in states
        )
        return chief if agreed else None

    def await_leader(self, milliseconds: int = 3 * SECOND, among: tuple[str, ...] | None = None) -> Message:
        """Let time pass until there is an agreed leader; a violation if there is none in time."""
        found: list[Message] = []

        def agreed() -> bool:
            chief = self.leader(among)
            if chief is not None:
                found.append(chief)
            return chief is not None

        if self.cluster.run_until(agreed, milliseconds):
            return found[0]
        states = self.states()
        raise Violation(
            f"no leader that all agree on after {milliseconds} ms",
            expected="one leader, known to all in the same term",
            actual=describe(states),
            explanation="The nodes could reach each other and did not come to an agreement. "
            + self._why_no_leader(states),
            suggestions=(
                "Does a follower that hears no heartbeat stand for election when its time is up?",
                "Does a candidate count the votes, its own included, against more than half of all nodes?",
                "Does a new leader send heartbeats at once, and do followers remember who sent them?",
            ),
        )

    def _why_no_leader(self, states: list[Message]) -> str:
        if all(state.body["term"] == 0 for state in states):
            return "Nobody ever stood for election: all are still in term 0."
        asked = sum(message.type == "request_vote" for message in self.cluster.log)
        granted = sum(message.type == "vote" and message.body.get("granted") is True for message in self.cluster.log)
        beats = sum(message.type == "heartbeat" for message in self.cluster.log)
        return f"There were {asked} requests for a vote, {granted} votes granted and {beats} heartbeats."

    # -- what must always hold

    def check_one_leader_per_term(self) -> None:
        for term, leaders in sorted(self.leaders.items()):
            if len(leaders) < 2:
                continue
            first, second = sorted(leaders)[:2]
            double = self._double_vote(term)
            because = "" if double is None else f" {_gave(*double[:3], term)}."
            raise Violation(
                f"{first} and {second} both lead term {term}",
                expected=f"one leader in term {term}",
                actual=", ".join(sorted(leaders)),
                sites=self.cluster.where(double[3] if double else leaders[second]),
                messages=(*self._votes(double, term), leaders[first], leaders[second]),
                explanation=f"Both sent heartbeats as leader of term {term}, so both counted enough votes.{because}",
                suggestions=(
                    ONE_VOTE,
                    "A candidate has given its vote of that term to itself.",
                ),
            )

    def check_one_vote_per_term(self) -> None:
        for term in sorted({term for _, term in self.votes}):
            double = self._double_vote(term)
            if double is None:
                continue
            voter, first, second, message = double
            raise Violation(
                f"{voter} voted twice in term {term}: for {_name(first, voter)} and for {second}",
                expected=f"one vote of {voter} in term {term}",
                actual=f"votes for {_name(first, voter)} and {second}",
                sites=self.cluster.where(message),
                messages=self._votes(double, term),
                explanation=f"{_gave(voter, first, second, term)}. Two candidates can win the same term that way.",
                suggestions=(
                    "Before granting a vote, compare the candidate with the one already voted for in this term.",
                    ONE_VOTE,
                ),
            )

    def _double_vote(self, term: int) -> tuple[str, str, str, Message] | None:
        for (voter, of_term), given in self.votes.items():
            if of_term != term:
                continue
            candidates = list(given)
            if (voter, term) in self.stood and voter not in candidates:
                candidates.insert(0, voter)
            if len(candidates) > 1:
                second = candidates[1]
                return voter, candidates[0], second, given[second]
        return None

    def _votes(self, double: tuple[str, str, str, Message] | None, term: int) -> tuple[Message, ...]:
        """The messages by which a node gave its vote twice. To stand for election is to vote for oneself."""
        if double is None:
            return ()
        voter, first, _, second_vote = double
        first_vote = self.stood[voter, term] if first == voter else self.votes[voter, term][first]
        return first_vote, second_vote


def _name(candidate: str, voter: str) -> str:
    return "itself" if candidate == voter else candidate


def _gave(voter: str, first: str, second: str, term: int) -> str:
    if first == voter:
        return f"{voter} stood for election in term {term}, a vote for itself, and then granted its vote to {second}"
    return f"{voter} granted its vote of term {term} to {first}, and then to {second} as well"


def describe(states: list[Message]) -> str:
    """`n1 follower of n2 in term 3; n2 leader in term 3`."""
    parts = []
    for state in states:
        follows = (
            f" of {state.body.get('leader')}" if state.body.get("leader") and state.body["role"] != "leader" else ""
        )
        parts.append(f"{state.src} {state.body['role']}{follows} in term {state.body['term']}")
    return "; ".join(parts)


def start(
    make_cluster: Callable[..., Cluster],
    size: int,
    seed: int,
    *,
    network: Network | None = None,
    timeout_ms: Any = TIMEOUT_MS,
    **options: Any,
) -> Election:
    """A cluster of `size` nodes; `timeout_ms` may be a function of the node's name."""

    def init(name: str) -> dict[str, object]:
        timeout = timeout_ms(name) if callable(timeout_ms) else timeout_ms
        return {"election_timeout_ms": list(timeout), "heartbeat_ms": HEARTBEAT_MS}

    return Election(make_cluster(size, seed=seed, init=init, network=network, **options))
