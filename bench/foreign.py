"""Does the time of an answer tell whether a submission exists that is somebody else's? `python -m bench.foreign`

A server with logins, two users, and submissions of one of them. The other asks for these and for ids that nobody has,
in random order over one connection. The medians of both must be alike, or ids could be counted by the clock.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlsplit

ALIKE: Final = 0.03
"""How far the medians may be apart, as a share."""
PATHS: Final = ("", "/tests", "/events")
_SUBMISSIONS: Final = 20
_PASSWORD: Final = "correct horse"
_SUBCLI: Final = (sys.executable, "-m", "subcli")


class Client:
    """One user of a server, on one connection."""

    def __init__(self, url: str, name: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port)
        self._headers = {"Content-Type": "application/json"}
        grant = {"grant_type": "password", "username": name, "password": _PASSWORD}
        token = self.ask("POST", "/api/auth/token", grant)["access_token"]
        self._headers["Authorization"] = f"Bearer {token}"

    def ask(
        self, method: str, path: str, body: Mapping[str, str] | None = None, status: int = 200
    ) -> dict[str, object]:
        """Send a request, and read the answer, which has this status."""
        self._connection.request(method, path, json.dumps(body) if body else None, self._headers)
        response = self._connection.getresponse()
        content = response.read()
        assert response.status == status, content
        return dict(json.loads(content))

    def seconds(self, path: str) -> float:
        """How long it takes until a submission was not found."""
        started = time.perf_counter()
        self.ask("GET", path, status=404)
        return time.perf_counter() - started


@contextmanager
def _server() -> Iterator[str]:
    """A server with the users ada and bob. Yields its URL."""
    with tempfile.TemporaryDirectory(prefix="subcli-foreign-") as directory:
        data = ("--data-dir", str(Path(directory) / "data"))
        for name in ("ada", "bob"):
            command = [*_SUBCLI, "user", "add", name, "--password-stdin", "-q", *data]
            subprocess.run(command, input=_PASSWORD.encode(), check=True)
        options = ["--auth", "--sandbox", "none", "--port", "0", "--json", "--stop-with-stdin"]
        command = [*_SUBCLI, "serve", *options, "--set-limit", "reads=9000000", *data]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            yield str(json.loads(process.stdout.readline())["url"])
            process.stdin.close()


def main() -> int:
    """Measure, and print a row for each path. Returns 1 if one of them tells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="of each kind")
    wanted = parser.parse_args().requests
    tells = False
    with _server() as url:
        ada = Client(url, "ada")
        body = {"problem": "leader-election", "language": "python", "source_code": "raise SystemExit"}
        foreign = [int(str(ada.ask("POST", "/api/submissions", body, 201)["id"])) for _ in range(_SUBMISSIONS)]
        for each in foreign:
            # The machine is to be quiet.
            ada.ask("POST", f"/api/submissions/{each}/cancel")
        bob = Client(url, "bob")
        absent = [foreign[-1] + number for number in range(1, _SUBMISSIONS + 1)]
        for path in PATHS:
            took: dict[str, list[float]] = {"foreign": [], "absent": []}
            order = ["foreign", "absent"] * wanted
            random.shuffle(order)
            for kind in order:
                chosen = random.choice(foreign if kind == "foreign" else absent)
                took[kind].append(bob.seconds(f"/api/submissions/{chosen}{path}"))
            one, other = median(took["foreign"]), median(took["absent"])
            apart = abs(one - other) / other
            tells = tells or apart > ALIKE
            print(
                f"GET /submissions/ID{path:8} {wanted} each: foreign {one * 1e3:.3f} ms, absent {other * 1e3:.3f} ms, "
                f"{apart:.1%} apart (at most {ALIKE:.0%})",
                flush=True,
            )
    return int(tells)


if __name__ == "__main__":
    sys.exit(main())
