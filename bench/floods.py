"""Does a user get a verdict while others flood the server? `python -m bench.floods`

A server with logins and its worker, and 200 attackers who do each flood in turn, from one address, from one each, and
from one each through the proxy that everybody uses. How long it takes an honest user from the submit to the verdict, by
turns while the attackers are stopped and while they attack, because a machine that others use as well is not always as
quick: the medians, of which the second must be at most twice the first. The attackers have a core of their own, because
they are other machines; the server, its judge and the honest user share another. All of it runs in a network namespace,
where the attackers have addresses that are not loopback: those are a proxy's, and its connections are not limited by
network.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import httpx
from websockets.sync.client import connect

from bench.attackers import ADDRESSES, FLOODS, NETWORK, PROXIED, PROXY
from bench.herd.sums import PROBLEM, SOLUTIONS, TESTS

AT_MOST: Final = 2.0
"""How many times as long a verdict may take meanwhile."""
WARM_UP_S: Final = 3.0
TURN_S: Final = 1.0
"""How long they have attacked when the honest user submits."""
_LOOK_S: Final = 0.5
_IDLE: Final = 0.1
"""The share of a processor that a server uses, at most, when it has answered what they had asked."""
_LOOKS: Final = 20
_ADDRESS: Final = "10.77.0.1"
_PASSWORD: Final = "correct horse"
_SUBCLI: Final = (sys.executable, "-m", "subcli")
_IN_NAMESPACE: Final = f'ip link set lo up && ip addr add {NETWORK} dev lo && BENCH_IN_NAMESPACE=1 exec "$@"'


class User:
    """An honest user, or the one whose token the attackers have.

    Args:
        is_proxied: whether the user comes through a proxy.
    """

    def __init__(self, url: str, name: str, *, is_proxied: bool = False) -> None:
        self._url = url
        self._address = PROXY if is_proxied else _ADDRESS
        self._forwarded = {"X-Forwarded-For": _ADDRESS} if is_proxied else {}
        self._http = httpx.Client(
            base_url=f"{url}/api",
            timeout=120,
            headers=self._forwarded,
            transport=httpx.HTTPTransport(local_address=self._address, trust_env=False),
        )
        grant = {"grant_type": "password", "username": name, "password": _PASSWORD}
        self.token = str(self._http.post("/auth/token", data=grant).raise_for_status().json()["access_token"])
        self._http.headers["Authorization"] = f"Bearer {self.token}"

    def seconds(self) -> float:
        """From the submit to the verdict."""
        began = time.perf_counter()
        body = {"problem": "sums", "language": "python", "source_code": SOLUTIONS["right"][0]}
        number = self._http.post("/submissions", json=body).raise_for_status().json()["id"]
        address = f"{self._url.replace('http', 'ws', 1)}/ws/submissions/{number}?token={self.token}"
        with connect(
            address,
            open_timeout=60,
            proxy=None,
            source_address=(self._address, 0),
            additional_headers=self._forwarded,
        ) as socket:
            for text in socket:
                event = json.loads(text)
                if event["type"] == "complete":
                    if event["final_status"] != "passed":
                        raise SystemExit(f"the verdict of a right solution is {event['final_status']}")
                    return time.perf_counter() - began
        raise SystemExit("a socket ended without a verdict")


def _make_problem(folder: Path) -> Path:
    """A problem that is judged quickly; returns the directory of all problems."""
    root = folder / "problems" / "sums"
    (root / "tests").mkdir(parents=True)
    (root / "problem.toml").write_text(PROBLEM)
    (root / "description.md").write_text("Print the sum.")
    (root / "tests" / "run.py").write_text(TESTS.replace("PAUSE", "0"))
    return root.parent


@contextmanager
def _server() -> Iterator[tuple[str, int]]:
    """A server with the users ada and mallory. Yields its URL, and its process."""
    with tempfile.TemporaryDirectory(prefix="subcli-floods-") as directory:
        problems = _make_problem(Path(directory))
        data = ("--data-dir", str(Path(directory) / "data"))
        for name in ("ada", "mallory"):
            command = [*_SUBCLI, "user", "add", name, "--password-stdin", "-q", *data]
            subprocess.run(command, input=_PASSWORD.encode(), check=True)
        command = [*_SUBCLI, "serve", "--auth", "--port", "0", "--json", "--stop-with-stdin"]
        command += ["--problems", str(problems), *data]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            yield str(json.loads(process.stdout.readline())["url"]), process.pid
            process.stdin.close()


@contextmanager
def _flood(
    url: str, name: str, addresses: str, token: str, core: int, done: dict[str, int]
) -> Iterator[subprocess.Popen[bytes]]:
    """200 attackers, and their process; adds what they did to `done`."""
    command = [sys.executable, "-m", "bench.attackers", url, name, addresses, token, str(core)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        time.sleep(WARM_UP_S)
        yield process
        process.stdin.close()
        done.update(json.loads(process.stdout.readline()))


def _processor_s(process: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait_until_idle(process: int) -> None:
    """Wait until a server has answered what was asked before, as well as that can be seen."""
    used_s = _processor_s(process)
    for _ in range(_LOOKS):
        time.sleep(_LOOK_S)
        before_s, used_s = used_s, _processor_s(process)
        if used_s - before_s <= _IDLE * _LOOK_S:
            return


def _in_turn(user: User, server: int, attackers: subprocess.Popen[bytes], times: int) -> tuple[float, float]:
    """The user's median times while the attackers are stopped, and while they attack."""
    quiet, meanwhile = [], []
    for _ in range(times):
        meanwhile.append(user.seconds())
        attackers.send_signal(signal.SIGSTOP)
        try:
            _wait_until_idle(server)
            quiet.append(user.seconds())
        finally:
            attackers.send_signal(signal.SIGCONT)
        time.sleep(TURN_S)
    return median(quiet), median(meanwhile)


def main() -> int:
    """Measure, and print a row for each flood. Returns 1 if one of them makes an honest user wait too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=7, help="of the honest user, in each flood")
    parser.add_argument("--addresses", choices=list(ADDRESSES), action="append", help="default: all")
    parser.add_argument("--flood", choices=list(FLOODS), action="append", help="default: all")
    words = parser.parse_args()
    if "BENCH_IN_NAMESPACE" not in os.environ:
        unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
        again = [sys.executable, "-m", "bench.floods", *sys.argv[1:]]
        os.execvp("unshare", [*unshare, "sh", "-c", _IN_NAMESPACE, "sh", *again])
    ours, theirs = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {ours})
    too_long = 0
    with _server() as (url, server):
        for name in ("mallory", "ada"):
            User(url, name).seconds()
        print("| flood | addresses | stopped | meanwhile | times as long | load | what the attackers got |", flush=True)
        print("|---|---|---|---|---|---|---|", flush=True)
        for name in words.flood or FLOODS:
            for addresses in words.addresses or ADDRESSES:
                # Anew for each row: their tokens are valid for 15 minutes.
                ada, mallory = User(url, "ada", is_proxied=addresses == PROXIED), User(url, "mallory")
                done: dict[str, int] = {}
                began = time.perf_counter()
                with _flood(url, name, addresses, mallory.token, theirs, done) as attackers:
                    quiet, took = _in_turn(ada, server, attackers, words.submissions)
                lasted = time.perf_counter() - began
                too_long += took > AT_MOST * quiet
                rates = ", ".join(f"{what}: {count / lasted:.0f}/s" for what, count in sorted(done.items()))
                times = f"{quiet:.2f} s | {took:.2f} s | {took / quiet:.1f}"
                print(f"| {name} | {addresses} | {times} | {os.getloadavg()[0]:.1f} | {rates} |", flush=True)
    return int(too_long > 0)


if __name__ == "__main__":
    sys.exit(main())
