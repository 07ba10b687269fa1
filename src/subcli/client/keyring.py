"""The system's keyring, called in a way that cannot hang (contract, section 5).

The keyring is foreign code that may wait forever for a bus that nobody answers (the Secret Service does). Every
call, the import of the library included, runs in a daemon thread and is given up after a time limit. A failure is
named, never hidden.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any, Final, TypeVar

from subcli.client.background import start_daemon_thread
from subcli.core.errors import CredentialError

T = TypeVar("T")

SERVICE: Final = "subcli"
CALL_TIMEOUT_S: Final = 3.0
LOGIN_TIMEOUT_S: Final = 30.0
"""At login a person may have to unlock the keyring."""

HINT: Final = "Set SUBCLI_TOKEN instead, or log in with `--insecure-storage`."


def backend_name(timeout_s: float) -> str:
    """The name of the keyring in use, for people."""
    return _call(lambda keyring: str(keyring.get_keyring().name), timeout_s)


def read(name: str, timeout_s: float) -> str | None:
    """The entry ``name``, or ``None`` if there is none.

    Raises:
        CredentialError: the keyring cannot be used, failed, or did not answer within ``timeout_s``.
    """
    found = _call(lambda keyring: keyring.get_password(SERVICE, name), timeout_s)
    return found if isinstance(found, str) else None


def write(name: str, text: str, timeout_s: float) -> None:
    """Set the entry ``name``; raises as :func:`read` does."""
    _call(lambda keyring: keyring.set_password(SERVICE, name, text), timeout_s)


def delete(name: str, timeout_s: float) -> None:
    """Delete the entry ``name`` if there is one; raises as :func:`read` does."""

    def call(keyring: Any) -> None:
        from keyring.errors import PasswordDeleteError

        with contextlib.suppress(PasswordDeleteError):
            keyring.delete_password(SERVICE, name)

    _call(call, timeout_s)


def _call(function: Callable[[Any], T], timeout_s: float) -> T:
    """Pass the keyring library to ``function``, for at most ``timeout_s`` seconds."""
    call = start_daemon_thread(_with_usable_backend, function)
    wait([call], timeout_s)
    if not call.done():
        raise CredentialError(f"The keyring did not answer within {timeout_s:g} s.", hint=HINT)
    error = call.exception()
    if error is None or isinstance(error, CredentialError):
        return call.result()
    # A backend's message may contain the secret, so only its type is shown.
    raise CredentialError(f"The keyring failed ({type(error).__name__}).", hint=HINT)


def _with_usable_backend(function: Callable[[Any], T]) -> T:
    import keyring

    _check_usable(keyring.get_keyring())
    return function(keyring)


def _check_usable(backend: Any) -> None:
    if type(backend).__module__ in ("keyring.backends.fail", "keyring.backends.null"):
        raise CredentialError("There is no keyring on this machine.", hint=HINT)
