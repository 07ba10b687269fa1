"""A cluster of nodes with a clock that the test advances."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from subcli.judge.evidence import Site
from subcli.judge.harness.faults import BadLine, NodeDied, NodeSilent, OutputFlood
from subcli.judge.harness.message import JUDGE, Message, parse
from subcli.judge.harness.network import Network
from subcli.judge.harness.node import DEBUGGER_VARIABLE, SHOWN_BYTES, Node, NodePlan
from subcli.judge.harness.recorder import Blame, Recorder
from subcli.judge.harness.switchboard import Switchboard
from subcli.judge.process.text import decode_beginning
from subcli.shared.run_trace import RunTrace

STEP_MS = 10
DISK = "disk"
"""A node sends here what must survive its crash."""

_LOG_KEPT = 20_000


class Cluster:
    """Processes `n1`, `n2` …, the network between them, and their simulated time.

    Args:
        plan: How to start a node.
        size: How many nodes.
        seed: Seeds the network and is passed on to the nodes. The same seed gives the same run.
        init: More fields for the body of `init`, or a function that returns them for a node's name.
        network: Default: a fast one that loses nothing.
        strangers: Names of members that the test itself plays.
        number: Which of its test's clusters this is, from 1.
    """

    def __init__(
        self,
        plan: NodePlan,
        size: int,
        *,
        seed: int = 1,
        init: Callable[[str], Mapping[str, object]] | Mapping[str, object] | None = None,
        network: Network | None = None,
        strangers: Sequence[str] = (),
        number: int = 1,
    ) -> None:
        self.names = tuple(f"n{number}" for number in range(1, size + 1))
        self.strangers = tuple(strangers)
        """Members of the cluster that the test itself plays."""
        self.network = network or Network(seed)
        self.now_ms = 0
        self.log: list[Message] = []
        """The messages between members, in the order they were sent."""
        self.disk: dict[str, Mapping[str, object]] = {}
        """What each node saved last."""
        self._plan = plan
        self._seed = seed
        self._number = number
        self._init = init or {}
        self._board = Switchboard()
        self._nodes: dict[str, Node] = {}
        self._ended: list[Node] = []
        self._answers: dict[str, list[Message]] = {}
        self._outbox: dict[str, list[Message]] = {}
        self._line_types: dict[tuple[str, int], set[str]] = {}
        self._watchers: list[Callable[[Message], None]] = []
        self._recorder = Recorder(lambda: self.now_ms)
        self.network.observe(self._recorder)

    def __enter__(self) -> Self:
        try:
            self.start(*self.names)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- nodes

    @property
    def alive(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name in self._nodes)

    def start(self, *names: str) -> None:
        """Start these nodes together and wait until each has answered `init_ok`."""
        debugged = self._plan.debugged
        for name in names:
            environment = {}
            if debugged is not None and debugged.node == name and debugged.cluster in (0, self._number):
                environment[DEBUGGER_VARIABLE] = debugged.debugger
            node = Node(name, self._plan, environment=environment)
            self._nodes[name] = node
            self._board.add(node)
        for name in names:
            extra = self._init(name) if callable(self._init) else self._init
            body: dict[str, object] = {
                "type": "init",
                "node_id": name,
                "node_ids": [*self.names, *self.strangers],
                "now_ms": self.now_ms,
                "seed": self._seed * 1_000 + int(name[1:]),
                **extra,
            }
            if name in self.disk:
                body["saved"] = self.disk[name]
            self._recorder.mark("start", name, body=body)
            self._post(Message(JUDGE, name, body))
        self._await(names, "init_ok", "after init")

    def kill(self, name: str) -> None:
        """Kill a node without warning, as a power failure would. What it did not save is lost."""
        node = self._nodes.pop(name)
        self._recorder.mark("kill", name)
        self._board.remove(node)
        node.kill()
        self._ended.append(node)
        self.network.forget(name)

    def close(self) -> None:
        """Kill all nodes."""
        for name in list(self._nodes):
            self.kill(name)
        self._board.close()

    def stderr(self) -> dict[str, str]:
        """What each node wrote to stderr, by name. Nodes that wrote nothing are left out."""
        texts: dict[str, str] = {}
        for node in self._nodes.values():
            node.drain_log()
        for node in (*self._ended, *self._nodes.values()):
            if node.log.total:
                texts[node.name] = texts.get(node.name, "") + node.log.text()
        return texts

    # -- time and messages

    def step(self) -> None:
        """Advance by ten milliseconds: deliver what is due, send every node a `tick`, collect what they send."""
        self.now_ms += STEP_MS
        for message in self.network.due(self.now_ms):
            if message.dest not in self._nodes and message.dest not in self.strangers:
                self._recorder.stopped(message, "crashed")
                continue
            self._recorder.arrived(message)
            if message.dest in self._nodes:
                self._post(message)
        alive = self.alive
        for name in alive:
            self._post(Message(JUDGE, name, {"type": "tick", "now_ms": self.now_ms}))
        self._await(alive, "tick_ok", f"at {self.now_ms} ms of simulated time")

    def run(self, milliseconds: int) -> None:
        """Advance the simulated time."""
        for _ in range(0, milliseconds, STEP_MS):
            self.step()

    def run_until(self, condition: Callable[[], bool], milliseconds: int) -> bool:
        """Advance until `condition` holds, for at most `milliseconds`. Returns whether it holds."""
        for _ in range(0, milliseconds, STEP_MS):
            if condition():
                return True
            self.step()
        return condition()

    def request(self, name: str, body: Mapping[str, object], answer: str) -> Message:
        """Send a node a request from the test itself, bypassing the network, and wait for an answer of this type."""
        self._post(Message(JUDGE, name, body))
        return self._answered(self._await((name,), answer, f"when asked to {body['type']}"))[0]

    def request_all(self, body: Mapping[str, object], answer: str) -> list[Message]:
        """Send the request to every running node at once."""
        alive = self.alive
        for name in alive:
            self._post(Message(JUDGE, name, body))
        return self._answered(self._await(alive, answer, f"when asked to {body['type']}"))

    def _answered(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            self._recorder.answered(message)
        return messages

    def deliver(self, src: str, dest: str, body: Mapping[str, object]) -> list[Message]:
        """Deliver a message from `src` to a node immediately. Returns what the node sends in response.

        Time does not advance: a `tick` with the current time marks the end of the response.
        """
        before = len(self.log)
        message = Message(src, dest, body, self.now_ms)
        self._recorder.sent(message)
        self._recorder.arrived(message)
        self._post(message)
        self._post(Message(JUDGE, dest, {"type": "tick", "now_ms": self.now_ms}))
        self._await((dest,), "tick_ok", f"after a {body.get('type')} from {src}")
        return [message for message in self.log[before:] if message.src == dest]

    def watch(self, watcher: Callable[[Message], None]) -> None:
        """Call `watcher` with each message between members as it is sent."""
        self._watchers.append(watcher)

    def where(self, message: Message) -> tuple[Site, ...]:
        """The lines that sent `message`, the most informative first.

        A line that sends messages of several types is a helper, so its caller comes before it.
        """
        self._recorder.shown = message
        return self._where(message)

    def note(self, node: str, text: str) -> None:
        """Show `text` beside a node in the picture of a failure, such as `leader in term 3`."""
        self._recorder.note(node, text)

    def trace(self, blame: Blame) -> bytes:
        """What has happened in this cluster and where it went wrong, as a `RunTrace` in JSON."""
        nodes = (*self.names, *self.strangers)
        basis = RunTrace(seed=self._seed, cluster=self._number, nodes=nodes, noticed_ms=self.now_ms)
        return self._recorder.trace(basis, blame, self._where)

    def _where(self, message: Message) -> tuple[Site, ...]:
        sites = message.sites
        specific = [site for site in sites if len(self._line_types.get((site.file, site.line), ())) <= 1]
        return (*specific, *(site for site in sites if site not in specific))

    # -- sending and receiving lines

    def _post(self, message: Message) -> None:
        self._nodes[message.dest].unsent += message.encoded()

    def _await(self, names: Sequence[str], answer: str, doing: str) -> list[Message]:
        for name in names:
            self._answers[name] = []
        nodes = [self._nodes[name] for name in names]
        seconds = self._plan.answer_seconds
        late = self._board.exchange(nodes, lambda node: self._take_lines(node, answer), seconds)
        self._send_in_order(names)
        for node in nodes:
            if not self._answers[node.name]:
                self._missing(node, answer, doing, seconds, node in late)
        return [self._answers[name][0] for name in names]

    def _missing(self, node: Node, answer: str, doing: str, seconds: float, is_late: bool) -> None:
        code = node.exit_code(0.0 if is_late else 2.0)
        sites = node.last_sites
        if code is not None:
            raise NodeDied(node.name, code, node.log.text(), doing)
        if not is_late:
            raise BadLine(node.name, "", f"was never finished: it closed its stdout {doing}", sites)
        if node.unfinished_line:
            raise BadLine(node.name, node.unfinished_line, "does not end with a newline", sites)
        node.dump_stack()
        raise NodeSilent(node.name, answer, seconds, node.log.text(), sites)

    def _take_lines(self, node: Node, answer: str) -> bool:
        """Sort the lines that the node has printed. Returns whether the awaited answer is among them."""
        while node.lines:
            line = node.lines.popleft()
            if not line.strip():
                continue
            message = self._parsed(node, line)
            for site in message.sites:
                self._line_types.setdefault((site.file, site.line), set()).add(message.type)
            if message.dest == JUDGE:
                if message.type == answer:
                    self._answers[node.name].append(message)
                continue
            if message.dest == DISK:
                self._save(node, line, message)
            self._outbox.setdefault(node.name, []).append(message)
        if node.flooding:
            last = node.unfinished_line
            stream = "stderr" if node.log.total > node.printed else "stdout"
            raise OutputFlood(node.name, self._plan.output_kb, stream, last, node.last_sites)
        return bool(self._answers[node.name])

    def _parsed(self, node: Node, line: bytes) -> Message:
        sites = node.sites_of(line)
        shown = decode_beginning(line, SHOWN_BYTES)
        try:
            message = parse(line, node.name, self.now_ms, sites)
        except ValueError as error:
            raise BadLine(node.name, shown, str(error), sites) from None
        if message.dest not in (*self.names, *self.strangers, JUDGE, DISK):
            complaint = f"is for {message.dest!r}, which is not a member of the cluster"
            raise BadLine(node.name, shown, complaint, sites, field="dest")
        return message

    def _save(self, node: Node, line: bytes, message: Message) -> None:
        data = message.body.get("data")
        if not isinstance(data, dict):
            shown = decode_beginning(line, SHOWN_BYTES)
            raise BadLine(node.name, shown, 'must save an object as "data"', message.sites, field="data")
        self.disk[node.name] = data

    def _send_in_order(self, names: Sequence[str]) -> None:
        # Sorted by name: the order in which the operating system runs processes differs between runs.
        for name in sorted(names):
            for message in self._outbox.pop(name, ()):
                if message.dest == DISK:
                    self._recorder.mark("save", name, body=message.body, message=message)
                else:
                    self._send(message)

    def _send(self, message: Message) -> None:
        self.log.append(message)
        self._recorder.sent(message)
        if len(self.log) > 2 * _LOG_KEPT:
            del self.log[:_LOG_KEPT]
        self.network.send(message)
        for watcher in self._watchers:
            watcher(message)

    # -- reading messages

    def integer(self, message: Message, field: str) -> int:
        """An integer field of the body.

        Raises:
            BadLine: The field is missing or not an integer.
        """
        value = message.body.get(field)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._bad_field(message, field, "an integer")
        return value

    def text(self, message: Message, field: str) -> str:
        """A string field of the body.

        Raises:
            BadLine: The field is missing or not a string.
        """
        value = message.body.get(field)
        if not isinstance(value, str):
            raise self._bad_field(message, field, "a string")
        return value

    def _bad_field(self, message: Message, field: str, wanted: str) -> BadLine:
        line = message.encoded().decode().rstrip()
        if field in message.body:
            complaint = f"has {json.dumps(message.body[field])} as {field!r} of a {message.type!r}; it must be {wanted}"
        else:
            complaint = f"lacks {field!r}: a {message.type!r} must have it, as {wanted}"
        return BadLine(message.src, line[:2_000], complaint, self.where(message), field=field)
