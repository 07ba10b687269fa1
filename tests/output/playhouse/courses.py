"""The course of an election that goes wrong, with everything that a picture of a failure shows."""

from __future__ import annotations

from subcli.shared.run_trace import Mark, Place, RunTrace, Sent

PLACES = (
    Place("node.py", 57, "stand_for_election", 'self.send(peer, "request_vote", term=self.term)'),
    Place("node.py", 90, "on_request_vote", 'self.send(src, "vote", term=self.term, granted=granted)'),
)
ASK = {"type": "request_vote", "term": 1}
GRANT = {"type": "vote", "term": 1, "granted": True}


def election() -> RunTrace:
    """n3 votes for n1, crashes, forgets it, and votes for n2: two leaders. One message is lost, one overtaken."""
    marks = [
        *(Mark(no=number, ms=0, kind="start", node=f"n{number}", body={"type": "init"}) for number in range(1, 5)),
        Mark(no=5, ms=150, kind="note", node="n1", text="candidate in term 1"),
        Mark(no=13, ms=170, kind="save", node="n3", body={"type": "save", "data": {"term": 1}}, place=1),
        Mark(no=15, ms=180, kind="partition", groups=(("n1", "n4"), ("n2", "n3"))),
        Mark(no=16, ms=180, kind="kill", node="n3"),
        Mark(no=17, ms=200, kind="start", node="n3", body={"type": "init"}),
        Mark(no=18, ms=210, kind="note", node="n2", text="candidate in term 1"),
        Mark(no=24, ms=240, kind="heal"),
        Mark(no=26, ms=250, kind="answer", node="n1", body={"type": "read_ok", "role": "leader"}),
    ]
    messages = [
        Sent(no=6, ms=150, src="n1", dest="n2", body=ASK, fate="lost", place=0),
        Sent(no=7, ms=150, src="n1", dest="n3", body=ASK, arrived_no=10, arrived_ms=170, place=0),
        Sent(no=8, ms=150, src="n1", dest="n4", body=ASK, arrived_no=12, arrived_ms=170, place=0),
        Sent(no=9, ms=160, src="n1", dest="n4", body={"type": "hello"}, arrived_no=11, arrived_ms=170),
        Sent(no=14, ms=170, src="n3", dest="n1", body=GRANT, arrived_no=25, arrived_ms=250, place=1, broke_rule=True),
        Sent(no=19, ms=210, src="n2", dest="n1", body=ASK, fate="cut_off", place=0),
        Sent(no=20, ms=210, src="n2", dest="n3", body=ASK, arrived_no=22, arrived_ms=230, place=0),
        Sent(no=21, ms=210, src="n2", dest="n4", body=ASK, fate="cut_off", place=0),
        Sent(no=23, ms=230, src="n3", dest="n2", body=GRANT, arrived_no=27, arrived_ms=250, place=1, broke_rule=True),
        Sent(no=28, ms=250, src="n4", dest="n1", body={"type": "vote", "term": 1}, fate="under_way"),
    ]
    return RunTrace(
        seed=51,
        nodes=("n1", "n2", "n3", "n4"),
        violation="n3 voted twice in term 1: for n1 and for n2",
        node="n3",
        moment_no=23,
        moment_ms=230,
        noticed_ms=400,
        total=28,
        digest="0123456789abcdef",
        source="code",
        places=PLACES,
        messages=tuple(messages),
        marks=tuple(marks),
    )


def crowd(nodes: int, messages: int) -> RunTrace:
    """Many messages between many nodes, the last of which broke the rule."""
    names = tuple(f"n{number}" for number in range(1, nodes + 1))
    sent = [
        Sent(
            no=2 * index + 1,
            ms=10 * index,
            src=names[index % nodes],
            dest=names[(index * 7 + 3) % nodes],
            body={"type": "gossip", "round": index, "known": list(range(index % 9))},
            arrived_no=2 * index + 2,
            arrived_ms=10 * index + 10,
            broke_rule=index == messages - 1,
        )
        for index in range(messages)
    ]
    return RunTrace(
        seed=7,
        nodes=names,
        violation="a rumour that nobody has told",
        moment_no=2 * messages - 1,
        moment_ms=10 * (messages - 1),
        noticed_ms=10 * messages,
        total=2 * messages,
        messages=tuple(sent),
    )
