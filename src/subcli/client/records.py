"""Where logins are stored: the keyring, or a plaintext file on request (contract, section 5).

Two files in the user's configuration directory:

``logins.json``       no secrets: which servers have a login, whose it is, and where its tokens are. Without an
                      entry here the keyring is not even imported.
``credentials.json``  only after ``--insecure-storage``: the tokens, for this user only.

A record and its tokens change together: the first change is undone if the second fails. A record without tokens says
what to do; tokens without a record would be out of reach of ``auth status`` and ``auth logout``.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from subcli.client import keyring
from subcli.core.errors import CredentialError
from subcli.shared.files import check_writable, exclude_others, write_atomically
from subcli.shared.platform import HERE
from subcli.shared.platform.files import Files
from subcli.shared.secret import Secret, is_token
from subcli.shared.urls import server_identity

Place: TypeAlias = Literal["keyring", "file"]

_log = logging.getLogger("subcli.auth")

LOCK_S: Final = 15.0
LOCK_POLL_S: Final = 0.02
WRITE_LOCK_S: Final = 15.0
"""For one change of a file; two syncs on a busy disk take seconds."""


class Tokens(msgspec.Struct, frozen=True):
    """The tokens of one login, stored together in one entry per server.

    Attributes:
        access: sent with every request.
        refresh: gets the next pair; ``None`` for a token that the user supplied.
    """

    access: Secret
    refresh: Secret | None = None


class Login(msgspec.Struct, frozen=True):
    """The record of one login, without secrets."""

    user: str | None
    place: Place


class Credentials:
    """The logins of one user.

    Args:
        directory: the user's configuration directory, or ``None`` if there is none (and so no logins).
        files: know who can read a file; by default this machine's.
    """

    def __init__(self, directory: Path | None, files: Files | None = None) -> None:
        self._directory = directory
        self._files = files or HERE.files

    # -- records ----------------------------------------------------------------------------------

    def logins(self) -> dict[str, Login]:
        """All records, by server."""
        if self._directory is None:
            return {}
        try:
            return msgspec.json.decode((self._directory / "logins.json").read_bytes(), type=dict[str, Login])
        except (OSError, msgspec.MsgspecError, UnicodeError):
            return {}

    def login(self, server: str) -> Login | None:
        """The record of one server."""
        return self.logins().get(self._name(server))

    def _name(self, server: str) -> str:
        """The name under which a server's login is stored: as it is, or as an earlier version wrote it."""
        identity = server_identity(server)
        return next((name for name in self.logins() if server_identity(name) == identity), identity)

    # -- tokens -----------------------------------------------------------------------------------

    def load(self, server: str, *, timeout_s: float = keyring.CALL_TIMEOUT_S) -> Tokens | None:
        """The tokens of a server, or ``None`` if no login is recorded.

        Raises:
            CredentialError: a login is recorded, but its tokens cannot be read.
        """
        login = self.login(server)
        if login is None:
            return None
        name = self._name(server)
        text = self._from_file(name) if login.place == "file" else keyring.read(name, timeout_s)
        if text is None:
            raise CredentialError(
                f"The tokens for {server} are gone from the {_NAMES[login.place]}.",
                hint=f"Log in again: `subcli auth login --server {server}`.",
            )
        try:
            entry = msgspec.json.decode(text, type=dict[str, str | None])
            access, refresh = entry["access"], entry.get("refresh")
            if not is_token(access or ""):
                raise ValueError
            return Tokens(Secret(str(access)), Secret(refresh) if refresh else None)
        except (ValueError, KeyError):
            raise CredentialError(
                f"The entry for {server} in the {_NAMES[login.place]} is not a subcli login.",
                hint=f"Log in again: `subcli auth login --server {server}`.",
            ) from None

    def save(
        self, server: str, user: str | None, tokens: Tokens, place: Place, *, timeout_s: float = keyring.CALL_TIMEOUT_S
    ) -> None:
        """Store the tokens of a server and the record of the login.

        Raises:
            CredentialError: they cannot be stored there.
        """
        name, before = self._name(server), self.login(server)
        login = Login(user, place)
        if login != before:
            self._change_json("logins.json", {name: login})
        try:
            self._store_tokens(name, tokens, place, timeout_s)
        except CredentialError:
            if login != before:
                with contextlib.suppress(CredentialError):
                    self._change_json("logins.json", {name: before})
            raise
        if before is not None and before.place != place:
            try:
                self._delete_tokens(name, before.place, timeout_s)
            except CredentialError as error:
                _log.warning(
                    "The earlier tokens for %s are still in the %s: %s", server, _NAMES[before.place], error.message
                )

    def delete(self, server: str, *, timeout_s: float = keyring.CALL_TIMEOUT_S) -> None:
        """Forget a login.

        Raises:
            CredentialError: it cannot be; the login is still there.
        """
        name, login = self._name(server), self.login(server)
        if login is None:
            return
        self._require_writable()
        try:
            self._delete_tokens(name, login.place, timeout_s)
        except CredentialError as error:
            raise CredentialError(
                f"The login for {server} is still in the {_NAMES[login.place]}: {error.message}",
                hint="Make it accessible, then try again: `subcli auth logout`.",
            ) from None
        self._change_json("logins.json", {name: None})

    def _store_tokens(self, name: str, tokens: Tokens, place: Place, timeout_s: float) -> None:
        entry = {"access": tokens.access.reveal(), "refresh": tokens.refresh.reveal() if tokens.refresh else None}
        text = msgspec.json.encode(entry).decode()
        if place == "file":
            self._change_json("credentials.json", {name: text})
        else:
            keyring.write(name, text, timeout_s)

    def _delete_tokens(self, name: str, place: Place, timeout_s: float) -> None:
        if place == "file":
            self._change_json("credentials.json", {name: None})
        else:
            keyring.delete(name, timeout_s)

    def probe(self, place: Place, *, timeout_s: float = keyring.LOGIN_TIMEOUT_S) -> str:
        """Write, read and delete a test entry; return the name of the place.

        Raises:
            CredentialError: nothing can be stored there, or no record of it.
        """
        self._require_writable()
        if place == "file":
            self._change_json("credentials.json", {})
            return str(self._file("credentials.json"))
        name = f"probe-{os.getpid()}"
        keyring.write(name, "probe", timeout_s)
        try:
            if keyring.read(name, timeout_s) != "probe":
                raise CredentialError("The keyring does not return what was stored in it.", hint=keyring.HINT)
        finally:
            with contextlib.suppress(CredentialError):
                keyring.delete(name, timeout_s)
        return f"keyring ({keyring.backend_name(timeout_s)})"

    @contextlib.asynccontextmanager
    async def locked(self, timeout_s: float = LOCK_S) -> AsyncIterator[None]:
        """Exclude other processes of this user while tokens are renewed: the refresh token rotates.

        Without the lock in time, continue anyway: tokens that others renewed meanwhile are still found.
        """
        from filelock import AsyncFileLock  # takes 100 ms to import

        async with contextlib.AsyncExitStack() as held:
            with contextlib.suppress(OSError, CredentialError, NotImplementedError):
                path = self._file("lock")
                # Its calls do not block, so they need no thread.
                lock = AsyncFileLock(
                    path,
                    timeout_s,
                    poll_interval=LOCK_POLL_S,
                    preserve_lock_file=True,
                    fallback_to_soft=False,
                    run_in_executor=False,
                )
                await held.enter_async_context(lock)
            yield

    # -- files ------------------------------------------------------------------------------------

    def _from_file(self, server: str) -> str | None:
        path = self._file("credentials.json")
        try:
            if cure := self._files.exposed(str(path)):
                raise CredentialError(f"{path} is accessible to other users.", hint=f"`{cure}`, then try again.")
            entry = msgspec.json.decode(path.read_bytes(), type=dict[str, str]).get(server)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise CredentialError(f"{path} cannot be read: {error}.", hint=keyring.HINT) from None
        return entry

    def _file(self, name: str) -> Path:
        if self._directory is None:
            raise CredentialError("There is no home directory to keep a login in.", hint="Set SUBCLI_TOKEN instead.")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot_write(error) from None
        return self._directory / name

    def _require_writable(self) -> None:
        """Check that a login can be recorded.

        Raises:
            CredentialError: it cannot.
        """
        path = self._file("logins.json")
        try:
            check_writable(path)
        except OSError as error:
            raise self._cannot_write(error) from None

    def _cannot_write(self, error: OSError) -> CredentialError:
        return CredentialError(
            f"{self._directory} cannot be written: {error.strerror or error}.", hint="Set SUBCLI_TOKEN instead."
        )

    def _change_json(self, name: str, changes: dict[str, Any]) -> None:
        """Set or, with None, remove entries of a file, atomically and readable by the user only."""
        with contextlib.ExitStack() as held:
            self._exclude_others(held)
            self._replace_json(name, changes)

    def _exclude_others(self, held: contextlib.ExitStack) -> None:
        """Until ``held`` is closed, no other process changes a file between our reading and our writing.

        This is not the lock of :meth:`locked`, which a caller that saves a renewed login already holds. If the lock
        cannot be acquired, the file is changed anyway.
        """
        with contextlib.suppress(CredentialError):
            held.enter_context(exclude_others(self._file("write-lock"), WRITE_LOCK_S))

    def _replace_json(self, name: str, changes: dict[str, Any]) -> None:
        path = self._file(name)
        try:
            try:
                content: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
            except (FileNotFoundError, msgspec.MsgspecError, UnicodeError, RecursionError):
                content = {}
            content.update(changes)
            kept = {key: value for key, value in content.items() if value is not None}
            data = msgspec.json.format(msgspec.json.encode(kept)) + b"\n"
            # A used refresh token must not come back after a power failure.
            write_atomically(path, data, mode=0o600, durable=True, files=self._files)
        except OSError as error:
            raise self._cannot_write(error) from None


_NAMES: Final[dict[Place, str]] = {"keyring": "keyring", "file": "credentials file"}
