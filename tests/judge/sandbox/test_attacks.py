"""Submissions that attack: nothing gets out, nothing survives, and the next submission is judged at once.

Each attack is a request to a node of a real submission, judged as root and as an ordinary user. What it says that it
got is compared with what may be had, and what it was after, a decoy each, is looked at from outside. The same attacks
without a sandbox succeed, which shows that they are some.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from subcli.judge.process.processes import kill_all, started_from
from subcli.judge.sandbox.view import enterable
from tests.hang import HANG_S

HERE = Path(__file__).parent
ORDINARY = 54_321
"""A user who owns nothing."""
SECRET = "hush-hush-4711"
IDENTITIES = [pytest.param("root", "root", marks=pytest.mark.thorough), ("user", "user")]
"""Who judges."""

TESTS = """
import json
import pytest
from subcli.judge.harness import Violation

@pytest.mark.parametrize("names", NAMES, ids=",".join)
def test_attacks(make_cluster, names):
    cluster = make_cluster(1, init={"decoys": DECOYS})
    got = {}
    for name in names:
        got[name] = cluster.request("n1", {"type": "attack", "name": name}, "attack_ok").body["got"]
    raise Violation("got " + json.dumps(got))

def test_neighbours(make_cluster):
    cluster = make_cluster(2, init={"decoys": DECOYS})
    left = cluster.request("n1", {"type": "attack", "name": "leave_a_message"}, "attack_ok").body["got"]
    found = cluster.request("n2", {"type": "attack", "name": "find_a_message"}, "attack_ok").body["got"]
    raise Violation("got " + json.dumps({"neighbours": [left, found]}))
"""
PROBLEM = """
id = 950
slug = "attacks"
title = "Attacks"
[limits]
test_seconds = 6
answer_seconds = 2
memory_mb = 128
total_memory_mb = 220
processes = 16
file_size_mb = 1
disk_mb = 8
files = 500
output_kb = 256
[languages.python]
source = "node.py"
run = ["{python}", "-s", "-S", "-P", "{shims}/python_node.py", "{source}"]
[languages.unwatched]
source = "node.py"
run = ["{python}", "-s", "-S", "-P", "{shims}/python_node.py", "{source}"]
bounded_address_space = false
[languages.c]
source = "attacks.c"
build = ["cc", "-O1", "-o", "attacks", "{source}"]
run = ["./attacks"]
[languages.built]
source = "node.py"
build = ["{python}", "-S", "{source}", "build"]
run = ["{python}", "-S", "{source}"]
"""
DENIED = ("EPERM", "EACCES", "ENOSYS")
GONE = ("ENOENT", "EACCES", "EPERM", "EROFS", "EXDEV", "ENXIO", "ENODEV", "ECONNREFUSED", "ENETUNREACH", "ESRCH")


def failed(got: Any, allowed: tuple[str, ...] = GONE) -> bool:
    """Whether an attempt ended in one of these errors, or each of several did."""
    if isinstance(got, list):
        return bool(got) and all(failed(each, allowed) for each in got)
    word = got.get("error", got.get("got")) if isinstance(got, dict) else got
    return word in allowed or word in ("gaierror", "not to be had")


CHECKS: dict[str, Any] = {
    "read_server_data": failed,
    "read_tests": failed,
    "read_system_accounts": failed,
    "list_homes": lambda got: failed([each for each in got if each.get("got") != []] or [{"error": "ENOENT"}]),
    "look_beside_the_submission": lambda got: failed(got) or got["got"] == ["work"],
    "write_outside": lambda got: True,  # a file of its own at that place; the decoy outside says whether it is that
    "write_to_the_submission": failed,
    "write_to_the_system": failed,
    "follow_a_symlink": failed,
    "make_a_hard_link": failed,
    "climb_through_proc": failed,
    "write_kernel_settings": failed,
    "write_to_the_first_process": lambda got: failed(got) or got == {"got": None},
    "open_devices": failed,
    "allocate_at_once": lambda got: failed(got, ("EOPNOTSUPP", "ENOTSUP")),
    "make_a_device": failed,
    "open_by_handle": lambda got: failed(got, DENIED),
    "connect_tcp": failed,
    "send_udp": lambda got: True,  # nobody is told; the listener outside says whether it came
    "ask_dns": failed,
    "connect_abstract": failed,
    "connect_unix": failed,
    "interfaces": lambda got: failed(got) or got == {"got": ["lo"]},
    "odd_sockets": lambda got: failed(got, ("EPERM", "EAFNOSUPPORT", "EACCES")),
    "open_sockets": lambda got: failed(got, DENIED),
    "pass_descriptors": lambda got: failed(got, DENIED),
    "enlarge_buffers": lambda got: failed(got, DENIED),
    "name_a_socket": lambda got: failed(got, DENIED),
    "environment": lambda got: SECRET not in json.dumps(got) and not [n for n in got["names"] if "SUBCLI" in n],
    "see_processes": lambda got: got["count"] <= 3 and failed(got["victim"]),
    "signal_others": failed,
    "trace": lambda got: got in DENIED,
    "read_memory_of_others": lambda got: got in DENIED,
    "descriptors": lambda got: len([n for n in got if int(n) > 2]) <= 2,  # the trace, and the listing itself
    "forge_results": lambda got: True,  # nothing named FORGED among the results says so
    "become_root": lambda got: failed(got[:2], ("EINVAL", "EPERM")) and got[2] == 1,
    "capabilities": lambda got: all(int(each, 16) == 0 for each in got[:3]) and got[3:] == ["1", "2"],
    "namespaces": lambda got: failed(got, DENIED),
    "namespaces_by_clone": lambda got: failed(got, DENIED),
    "enter_a_namespace": lambda got: failed(got, DENIED),
    "mount": lambda got: all(each in DENIED for each in got["got"]),
    "keyrings": lambda got: failed(got, DENIED),
    "exotic_calls": lambda got: all(each in DENIED for each in got.values()),
    "type_into_the_terminal": lambda got: got in ("no terminal", *DENIED),
    "change_the_personality": lambda got: failed(got, DENIED),
    "shared_memory_stays": lambda got: got in DENIED,
    "loads": lambda got: (
        got["loadavg"] == {"got": "0.00"}
        and set(got["stat"].split()[1:]) == {"0"}
        and got["uptime"] == got["locks"] == {"got": ""}
        and got["pressure"] in ({"got": []}, {"error": "ENOENT"})
        and got["sysinfo"] in DENIED
    ),
    "open_a_terminal": failed,
    "count_what_others_do": lambda got: (
        all(each in ({"got": []}, {"error": "ENOENT"}) for each in got["listed"].values()) and not got["speeds"]
    ),
    "queue_signals": lambda got: got <= 1_024,
    "use_up_requests": lambda got: got in DENIED,
    "ask_what_is_cached": lambda got: failed(got, ("EOPNOTSUPP", "ENOTSUP")),
    "control_groups": failed,
    "name_a_pipe": lambda got: failed(got, DENIED),
}
KILLED: dict[str, tuple[str, ...]] = {
    "fork_bomb": ("processes",),
    "daemons": (),
    "threads_without_end": (),
    "fill_memory": ("memory", "early_exit", "exception", "crash"),
    "fill_memory_with_children": ("memory",),
    "fill_sockets": ("memory",),
    "fill_tmp": (),
    "fill_shared_memory": (),
    "use_up_inodes": ("disk",),
    "huge_output": ("output_limit", "not_json"),
    "output_without_newlines": ("output_limit",),
    "huge_errors": ("output_limit", "timeout"),
    "terminal_escapes": ("early_exit",),
    "never_ends": ("timeout",),
    "hangs_at_exit": ("timeout",),
    "kill_everything": ("exception", "crash", "early_exit", "not_json", "timeout"),
}
"""Each with the categories that may explain it; none where the attack comes to nothing by itself."""
SEEN_OUTSIDE = ("send_udp", "write_outside")
REAL = (
    "read_server_data",
    "read_tests",
    "read_system_accounts",
    "look_beside_the_submission",
    "write_outside",
    "write_to_the_submission",
    "follow_a_symlink",
    "make_a_hard_link",
    "connect_tcp",
    "send_udp",
    "connect_abstract",
    "connect_unix",
    "see_processes",
    "signal_others",
    "trace",
    "read_memory_of_others",
    "loads",
    "interfaces",
    "open_a_terminal",
    "count_what_others_do",
    "queue_signals",
    "use_up_requests",
    "ask_what_is_cached",
    "allocate_at_once",
    "open_sockets",
    "pass_descriptors",
    "enlarge_buffers",
    "name_a_socket",
)


C_REFUSED = {
    *("EPERM", "EACCES", "ENOSYS", "EROFS", "ENOENT", "EINVAL", "EAFNOSUPPORT", "EOPNOTSUPP", "ENOMEM", "ETXTBSY"),
    f"signal {signal.SIGSYS.value}",
}
C_REAL = (
    *("socket_inet", "socket_unix", "pass_descriptors", "send_many", "enlarge_send_buffer", "bind_a_pair", "trace_me"),
    *("memory_file", "shared_memory", "enlarge_pipe", "record_lock", "whole_lock", "named_pipe", "terminal"),
    *("watch_files", "write_own_memory", "read_accounts"),
)
"""Attacks in C that succeed without a sandbox wherever Linux runs."""


@dataclass
class World:
    """The decoys of one run, and what has come to them."""

    root: Path
    owner: int
    victim: subprocess.Popen[bytes]
    tcp: socket.socket
    udp: socket.socket
    abstract: socket.socket
    unix: socket.socket
    decoys: dict[str, Any] = field(default_factory=dict)
    mode: int = 0
    """Of the directory with the secret."""

    def visited(self) -> list[str]:
        """Which of the listeners somebody has come to."""
        found = []
        for name in ("tcp", "abstract", "unix"):
            with suppress(BlockingIOError):
                getattr(self, name).accept()[0].close()
                found.append(name)
        with suppress(BlockingIOError):
            self.udp.recv(100)
            found.append("udp")
        return found


def as_user(user: int) -> list[str]:
    words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]
    return words if user != os.geteuid() else []


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Decoys that belong to whoever judges, so that nothing but the sandbox protects them."""
    owner = os.geteuid() if request.param == "root" else (ORDINARY if os.geteuid() == 0 else os.geteuid())
    root = Path(tempfile.mkdtemp(prefix="subcli-decoys-"))
    sockets: list[socket.socket] = []
    victim = subprocess.Popen(
        [*as_user(owner), sys.executable, "-I", "-S", "-c", "import signal; print(flush=True); signal.pause()"],
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "VICTIM": SECRET},
        cwd="/",
    )
    assert victim.stdout is not None
    try:
        # It is who it is to be by now.
        victim.stdout.readline()
        for name in ("data", "tmp", "home", "problem/tests"):
            (root / name).mkdir(parents=True)
        (root / "data" / "secret").write_text(SECRET)
        (root / "writable").write_text("")
        for address, family, kind in (
            (("127.0.0.1", 0), socket.AF_INET, socket.SOCK_STREAM),
            (("127.0.0.1", 0), socket.AF_INET, socket.SOCK_DGRAM),
            (f"\0subcli-{root.name}", socket.AF_UNIX, socket.SOCK_STREAM),
            (str(root / "socket"), socket.AF_UNIX, socket.SOCK_STREAM),
        ):
            sockets.append(socket.socket(family, kind))
            sockets[-1].bind(address)
            sockets[-1].setblocking(False)
            if kind == socket.SOCK_STREAM:
                sockets[-1].listen()
        tcp, udp, abstract, unix = sockets
        made = World(root, owner, victim, tcp, udp, abstract, unix)
        made.mode = (root / "data").stat().st_mode & 0o777
        made.decoys = {
            "secret": str(root / "data" / "secret"),
            "writable": str(root / "writable"),
            "tests": str(root / "problem" / "tests" / "test_attacks.py"),
            "home": str(root / "home"),
            "port": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "abstract": f"subcli-{root.name}",
            "unix": str(root / "socket"),
            "victim": victim.pid,
        }
        yield made
    finally:
        victim.kill()
        victim.wait()
        victim.stdout.close()
        for each in sockets:
            each.close()
        shutil.rmtree(root)


def judged(
    world: World,
    names: list[list[str]],
    *,
    starter: str = "sandbox",
    language: str = "unwatched",
    files: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Judge the attacks as the world's owner, and a good submission after them."""
    problem = world.root / "problem"
    tests = TESTS.replace("NAMES", repr(names)).replace("DECOYS", repr(world.decoys))
    (problem / "tests" / "test_attacks.py").write_text(tests)
    (problem / "problem.toml").write_text(PROBLEM)
    (problem / "description.md").write_text("Attack.")
    good = "import sys\nsys.exit(0)\n"
    order = {
        "problem": str(problem),
        "language": language,
        "files": files or {"node.py": (HERE / "attacks.py").read_text()},
        "starter": starter,
        "hidden": [str(world.root / "data")],
        "next": {"node.py": good} if starter == "sandbox" and files is None else {},
    }
    return run_order(world, order)


def run_order(world: World, order: dict[str, Any]) -> dict[str, Any]:
    (world.root / "order.json").write_text(json.dumps(order))
    for path in (world.root, *world.root.rglob("*")):
        os.chown(path, world.owner, world.owner, follow_symlinks=False)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(world.root / "home"),
        "TMPDIR": str(world.root / "tmp"),
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SUBCLI_SECRET_KEY": SECRET,
    }
    world.root.chmod(0o711)
    command = [*as_user(world.owner), sys.executable, str(HERE / "driver.py"), str(world.root / "order.json")]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    # Whoever is judged leaves neither files nor processes.
    assert list((world.root / "tmp").iterdir()) == []
    left = started_from(world.root / "tmp")
    kill_all(lambda: started_from(world.root / "tmp"))
    assert left == []
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def needs_sandbox(identity: str) -> None:
    if shutil.which("bwrap") is None or shutil.which("setpriv") is None:
        pytest.skip("needs bubblewrap and setpriv")
    if identity == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    places = [Path(sys.base_prefix), Path(sys.executable), HERE, *(Path(p) for p in sys.path if p and Path(p).is_dir())]
    closed = next((place for place in places if not enterable(place)), None)
    if closed is not None and os.geteuid() == 0:
        pytest.skip(f"needs a Python and a checkout that every user may read, and {closed} is not")


def results(outcome: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The test results by the names of their attacks, each with its analysis."""
    found: dict[str, dict[str, Any]] = {}
    for event in outcome["events"]:
        name = str(event.get("test_id", "")).partition("[")[2].rstrip("]") or "neighbours"
        if event["type"] == "test_result":
            found[name] = dict(event)
        elif event["type"] == "error_analysis" and event.get("test_id"):
            found[name]["analysis"] = event
    return found


def gains(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What each attack says that it got."""
    everything: dict[str, Any] = {}
    for names, result in found.items():
        message = result["message"]
        assert message.startswith("got "), (names, message, result.get("output"))
        everything |= json.loads(message.removeprefix("got "))
    return everything


def in_groups(names: Iterable[str], size: int) -> list[list[str]]:
    """Attacks that share a node."""
    every = list(names)
    return [every[start : start + size] for start in range(0, len(every), size)]


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("world", "identity"), IDENTITIES, indirect=["world"])
def test_attacks_gain_nothing(world: World, identity: str, subtests: pytest.Subtests) -> None:
    """Files, network, processes, kernel, neighbours: each attack is refused, and no decoy is touched."""
    needs_sandbox(identity)
    outcome = judged(world, in_groups(CHECKS, 5))
    found = gains(results(outcome))
    for name, check in CHECKS.items():
        with subtests.test(name):
            assert SECRET not in json.dumps(found[name])
            assert check(found[name]), found[name]
    with subtests.test("neighbours"):
        left, message = found["neighbours"]
        assert failed([left["lock"], left["record"], left["lease"]], DENIED), left
        assert message == [False, False]
    with subtests.test("seen from outside"):
        assert world.visited() == []
        assert (world.root / "writable").read_text() == ""
        assert (world.root / "data" / "secret").read_text() == SECRET
        assert [path.name for path in (world.root / "data").iterdir()] == ["secret"]
        assert world.victim.poll() is None
        assert not Path("/subcli-attack").exists()
        assert len(found) == len(CHECKS) + 1
        assert "FORGED" not in json.dumps([event for event in outcome["events"] if event["type"] == "test_result"])
        assert outcome["events"][-1]["final_status"] == "failed"
        assert outcome["next"][-1]["type"] == "complete"
        no_groups_are_left()


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(("world", "identity"), IDENTITIES, indirect=["world"])
def test_system_calls_gain_nothing(world: World, identity: str) -> None:
    """A program in C makes a hundred system calls, with arguments that try to pass by a filter: each is refused."""
    needs_sandbox(identity)
    source = (HERE / "attacks.c").read_text()
    outcome = judged(world, [["all"]], language="c", files={"attacks.c": source})
    got = gains(results(outcome))["all"]["c"]
    assert got["tried"] == source.count("    TRY(")
    assert got["succeeded"] == []
    assert set(got["answers"]) <= C_REFUSED
    no_groups_are_left()


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(("world", "identity"), [("user", "user")], indirect=["world"])
def test_system_calls_succeed_without_a_sandbox(world: World, identity: str) -> None:
    """The same program outside, as a user who owns nothing: many of its calls are allowed there."""
    needs_sandbox(identity)
    program = world.root / "attacks"
    subprocess.run(["cc", "-O1", "-o", program, HERE / "attacks.c"], check=True)
    world.root.chmod(0o711)
    os.chown(world.root / "tmp", world.owner, world.owner)
    command = [*as_user(world.owner), str(program), "all"]
    done = subprocess.run(command, cwd=world.root / "tmp", capture_output=True, text=True, timeout=HANG_S, check=True)
    got = json.loads(done.stdout)
    assert set(C_REAL) <= set(got["succeeded"])


@pytest.mark.thorough
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("world", "identity"), IDENTITIES, indirect=["world"])
def test_attacks_on_limits_are_stopped(world: World, identity: str, subtests: pytest.Subtests) -> None:
    """Processes, memory, files, output, time: stopped and explained; nothing survives; the judge goes on at once."""
    needs_sandbox(identity)
    outcome = judged(world, in_groups(KILLED, 1))
    found = results(outcome)
    for name, categories in KILLED.items():
        with subtests.test(name):
            result = found[name]
            assert result["status"] == "failed"
            assert "not in a sandbox" not in json.dumps(result)
            assert len(json.dumps(result)) < 60_000
            if categories:
                assert result["analysis"]["category"] in categories, result
            elif name.startswith("fill"):
                # As a whole its /tmp is full, or the watchdog was first.
                assert '"ENOSPC"' in result["message"] or result["analysis"]["category"] in ("disk", "memory"), result
    with subtests.test("afterwards"):
        assert len(found) == len(KILLED) + 1
        assert outcome["events"][-1]["final_status"] == "failed"
        assert outcome["next"][-1]["type"] == "complete"
        assert world.victim.poll() is None
        no_groups_are_left()


BUILDS = {
    "fills the disk without writing": (
        "import os\nn = 0\nwhile True:\n    n += 1\n    f = os.open(f'f{n}', os.O_CREAT | os.O_RDWR)\n"
        "    os.posix_fallocate(f, 0, 1_000_000)\n    os.close(f)\n",
        "disk",
    ),
    "fills the disk with files": (
        "n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'wb').write(b'x' * 1_000_000)\n",
        "disk",
    ),
    "fills the disk with files that have no name": (
        "import os\nkept = []\nwhile True:\n    kept.append(os.open('f', os.O_CREAT | os.O_RDWR))\n"
        "    os.write(kept[-1], b'x' * 1_000_000)\n    os.unlink('f')\n",
        "disk",
    ),
    "makes files without end": ("n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'w').close()\n", "disk"),
    "nests directories without end": (
        "import os, time\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\ntime.sleep(9)\n",
        "disk",
    ),
    "closes its directories": (
        "import os, time\nos.mkdir('d')\nopen('d/f', 'w').close()\nos.chmod('d', 0)\n",
        "",
    ),
    "plants a link to a secret": (
        "import os\nos.symlink(SECRET, 'stolen.py')\nos.symlink(os.path.dirname(SECRET), 'd')\n",
        "",
    ),
    "leaves a daemon": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
        "    if os.fork() == 0:\n        time.sleep(60)\n    os._exit(0)\n",
        "",
    ),
}
"""What a build does, and how it is explained where it is ended for it."""
AFTER_BUILD = """
import json, os, sys
if sys.argv[1:] == ["build"]:
    BUILD
    sys.exit(0)
# Says that a line was printed by the planted link: nobody is to read it for that.
trace = int(os.environ.get("SUBCLI_TRACE_FD", 2))
for line in sys.stdin:
    kind = json.loads(line)["body"]["type"]
    answer = json.dumps({"dest": "judge", "body": {"type": kind + "_ok", "got": 1}})
    import zlib
    os.write(trace, json.dumps([zlib.crc32(answer.encode()), [["stolen.py", 1, "f"]]]).encode() + b"\\n")
    print(answer if kind != "attack" else "no JSON at all", flush=True)
"""


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("world", "identity"), IDENTITIES, indirect=["world"])
def test_builds_stay_within_bounds(world: World, identity: str, subtests: pytest.Subtests) -> None:
    """A build may write, but cannot fill the disk, redirect the judge, or prevent the removal of its files."""
    needs_sandbox(identity)
    for name, (build, category) in BUILDS.items():
        with subtests.test(name):
            body = build.replace("SECRET", repr(world.decoys["secret"])).replace("\n", "\n    ")
            source = AFTER_BUILD.replace("BUILD", body)
            outcome = judged(world, [["anything"]], language="built", files={"node.py": source})
            analyses = [event for event in outcome["events"] if event["type"] == "error_analysis"]
            if category:
                assert outcome["events"][-1]["final_status"] == "build_failed"
                assert analyses[0]["category"] == category, analyses
            assert SECRET not in json.dumps(outcome["events"])
            assert (world.root / "data" / "secret").read_text() == SECRET
            assert (world.root / "data").stat().st_mode & 0o777 == world.mode
    no_groups_are_left()


def test_attacks_are_counted() -> None:
    """The numbers in docs/testing.md are those of the attacks here."""
    table = (HERE.parents[2] / "docs" / "testing.md").read_text()
    in_c = (HERE / "attacks.c").read_text().count("    TRY(")
    for kind, count in (
        ("sandbox, in Python", len(CHECKS) + 1),  # the neighbours
        ("sandbox, in C", in_c),
        ("limits of a run", len(KILLED)),
        ("limits of a build", len(BUILDS)),
    ):
        assert re.search(rf"^\| {kind}: [^|]*\| {count} \|", table, re.MULTILINE), (kind, count)


def no_groups_are_left() -> None:
    """Of judges that have ended."""
    for parent in Path("/sys/fs/cgroup").glob("*"):
        for group in parent.glob("**/subcli-[0-9]*-*"):
            pid = group.name.split("-")[1]
            assert Path(f"/proc/{pid}").exists(), group


@pytest.mark.thorough
@pytest.mark.parametrize(("world", "identity"), [("user", "user")], indirect=["world"])
def test_attacks_succeed_without_a_sandbox(world: World, identity: str, subtests: pytest.Subtests) -> None:
    """The same attacks without a sandbox: they are real, and the checks can fail."""
    needs_sandbox(identity)
    found = gains(results(judged(world, in_groups(REAL, 5), starter="local")))
    for name in REAL:
        with subtests.test(name):
            if name in SEEN_OUTSIDE:
                assert found[name] == {"got": True}
                continue
            assert not CHECKS[name](found[name]), found[name]
    assert sorted(world.visited()) == ["abstract", "tcp", "udp", "unix"]
    assert (world.root / "writable").read_text() == "x"
    assert world.victim.wait(10) == -signal.SIGUSR1
