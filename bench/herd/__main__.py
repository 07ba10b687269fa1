"""Are all verdicts right while workers are ill, restarted and killed? `python -m bench.herd`

Two gateways with logins and two workers share PostgreSQL and Redis; a third worker has a temporary directory that is
full. Users submit code whose verdict is known, one of them many at once. Meanwhile the gateways are restarted one after
the other, one worker is stopped with SIGTERM and the other killed with SIGKILL, each while it judges, and started
again. Each submission has a watcher that reconnects as `subcli` does. Read from the log at the end: the verdicts, how
long what was interrupted took until it was under way again, and how long users waited for their judging to begin.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

from bench.crowd import need_files
from bench.herd.herd import Herd
from bench.herd.outcome import report
from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.choice import SandboxError, choose
from tests.backends import Postgres, RedisServer


def usable_sandbox() -> str:
    """Bubblewrap where it works."""
    try:
        return str(choose(Sandbox.AUTO, for_others=True, concurrency=1, hidden=()).name.value)
    except SandboxError:
        return "none"


async def main() -> None:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=300)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--many", type=int, default=40, help="submissions of one user at once")
    parser.add_argument("--seconds", type=float, default=60.0, help="in which all submit")
    parser.add_argument("--judging", type=float, default=1.0, help="seconds that the tests of one submission wait")
    parser.add_argument("--concurrency", type=int, default=4, help="of each worker")
    parser.add_argument("--sandbox", choices=["bwrap", "none"], default=None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-logs", type=Path, help="copy the processes' logs to this directory")
    words = parser.parse_args()
    words.sandbox = words.sandbox or usable_sandbox()
    need_files(4 * words.submissions + 200)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="subcli-herd-")))
        postgres, redis = Postgres(), RedisServer()
        for backend in (postgres, redis):
            stack.callback(backend.close)
            backend.start()
        herd = Herd(words, folder, postgres.url("postgres"), redis.url())
        herd.add_users()
        try:
            for process in (*herd.gateways, *herd.workers, herd.sick):
                await process.start()
            herd.fill()
            print(f"{words.submissions} submissions of {words.users} users, sandbox: {words.sandbox}", flush=True)
            begun = time.monotonic()
            await herd.run()
            print(f"the last verdict came after {time.monotonic() - begun:.1f} s")
            is_good = report(herd)
        finally:
            await herd.close()
            if words.keep_logs is not None:
                herd.keep_logs(words.keep_logs)
    if not is_good:
        raise SystemExit(1)


if __name__ == "__main__":
    asyncio.run(main())
