"""What the sandboxes of a submission have in common: a tree of mounts, made once, that each of their processes enters.

    make    bwrap [the tree] sh      ends at once; descriptors keep its namespaces
    enter   setns(2)                 in a fork that then becomes bubblewrap; see `confine`

Mounting takes most of the time that bubblewrap needs: it mounts every visible directory by itself, and each time reads
the list of all mounts. A process that has entered mounts the whole tree at once, and makes only what is its own.

`launch` uses this without the package, so it imports little.
"""

import _thread
import errno
import os

TYPE_CHECKING = False  # `typing` would cost two milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence

_WAIT = "echo $$; read -r _"
_NUMBER_BYTES = 32
_lock = _thread.allocate_lock()
_being_made: "dict[tuple[str, ...], _Making]" = {}
_made: "dict[tuple[str, ...], tuple[int, ...]]" = {}
"""The trees of this process, by the commands that make them: descriptors of their namespaces."""


class _Making:
    """A tree that is being made.

    Args:
        command: What makes it and then executes a shell.

    Raises:
        OSError: The command cannot be started.
    """

    def __init__(self, command: "Sequence[str]") -> None:
        self._reading, writing = os.pipe()
        waiting, self._holding = os.pipe()
        words = [*command, "/bin/sh", "-c", _WAIT]
        actions = [(os.POSIX_SPAWN_DUP2, waiting, 0), (os.POSIX_SPAWN_DUP2, writing, 1)]
        try:
            self._pid = os.posix_spawn(words[0], words, {"PATH": os.defpath}, file_actions=actions)
        except BaseException:
            os.close(self._reading)
            os.close(self._holding)
            raise
        finally:
            os.close(waiting)
            os.close(writing)

    def finish(self) -> "tuple[int, ...]":
        """Wait until it is made. Returns descriptors of its namespaces, in the order in which they are entered.

        Raises:
            OSError: It could not be made; bubblewrap has said why on stderr.
        """
        found: list[int] = []
        try:
            number = os.read(self._reading, _NUMBER_BYTES).strip().decode()
            if not number:
                raise OSError(errno.EIO, "the file system of the sandboxes could not be made")
            for name in ("user", "mnt"):
                namespace = f"/proc/{number}/ns/{name}"
                if os.readlink(namespace) != os.readlink(f"/proc/self/ns/{name}"):
                    found.append(os.open(namespace, os.O_RDONLY))
        except BaseException:
            for descriptor in found:
                os.close(descriptor)
            raise
        finally:
            self.end()
        return tuple(found)

    def end(self) -> None:
        """Let what makes it end."""
        os.close(self._reading)
        os.close(self._holding)
        try:  # noqa: SIM105 -- importing contextlib takes longer than all the rest here
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass  # A supervisor reaps every orphan.


def begin(command: "Sequence[str]") -> None:
    """Begin to make a tree, if this process has not yet. It is made while this process goes on.

    Args:
        command: What makes it. Empty: there is none.

    Raises:
        OSError: The command cannot be started.
    """
    key = tuple(command)
    with _lock:
        if key and key not in _made and key not in _being_made:
            _being_made[key] = _Making(key)


def descriptors(command: "Sequence[str]") -> "tuple[int, ...]":
    """The namespaces of the tree that this command makes, in the order in which they are entered.

    Waits until it is made, and makes it if nobody has begun to.

    Raises:
        OSError: It cannot be made.
    """
    key = tuple(command)
    if not key:
        return ()
    begin(key)
    with _lock:
        if key in _being_made:
            _made[key] = _being_made.pop(key).finish()
        return _made[key]


def adopt(command: "Sequence[str]", namespaces: "Sequence[int]") -> None:
    """Use a tree that another process has made, which has passed on these descriptors."""
    with _lock:
        _made[tuple(command)] = tuple(namespaces)


def forget(command: "Sequence[str]") -> None:
    """Close what this process has of a tree."""
    key = tuple(command)
    with _lock:
        if key in _being_made:
            _being_made.pop(key).end()
        for descriptor in _made.pop(key, ()):
            os.close(descriptor)
