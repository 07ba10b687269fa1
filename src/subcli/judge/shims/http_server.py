"""Runs a solution as a server, and connects to it for the tests.

    python -I -S http_server.py DESCRIPTOR COMMAND…

The solution finds a free port of the loopback in the environment variable PORT. For each byte that arrives over the
descriptor, a stream socket, one goes back: `y` together with a socket that is connected to the port, or `n`. So the
judge reaches a server in a network namespace that it cannot enter itself.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

_CONNECT_S = 2.0
_HOSTS = ("127.0.0.1", "::1")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((_HOSTS[0], 0))
        return int(taken.getsockname()[1])


def _connected(port: int) -> socket.socket | None:
    for host in _HOSTS:
        try:
            return socket.create_connection((host, port), _CONNECT_S)
        except OSError:
            continue
    return None


def _end_with_the_solution(*_: object) -> None:
    """When the solution has ended, end as it did."""
    pid, status = os.waitpid(-1, os.WNOHANG)
    if pid == 0:
        return
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        os.kill(os.getpid(), signal.SIGKILL if code == -signal.SIGKILL else _reset(-code))
    os._exit(code)


def _reset(number: int) -> int:
    signal.signal(number, signal.SIG_DFL)
    return number


def main() -> None:
    """Serve until the other end of the descriptor is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    port = _free_port()
    signal.signal(signal.SIGCHLD, _end_with_the_solution)
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        os.environ["PORT"] = str(port)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.execvp(sys.argv[2], sys.argv[2:])
    while control.recv(1):
        connection = _connected(port)
        if connection is None:
            control.send(b"n")
            continue
        with connection:
            socket.send_fds(control, [b"y"], [connection.fileno()])


main()
