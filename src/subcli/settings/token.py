"""The token that a variable gives (contract, section 5), and the secrets that the environment holds."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from subcli.core.errors import UsageError
from subcli.shared.files import expand_user
from subcli.shared.secret import Secret, is_token

_TOKEN_FILE_MAX_BYTES: Final = 64 * 1024
_SHORTEST_MASKED: Final = 5
"""Characters. Masking shorter secrets would make any text unreadable."""


def token_from(env: Mapping[str, str]) -> tuple[Secret | None, str]:
    """The token that the environment gives, and the name of its variable.

    ``SUBCLI_TOKEN`` comes first, then the content of the file that ``SUBCLI_TOKEN_FILE`` names. An empty one does not
    count (contract, section 2).

    Raises:
        UsageError: the file cannot be read, or the token cannot be sent in a header.
    """
    name, value = "SUBCLI_TOKEN", env.get("SUBCLI_TOKEN", "").strip()
    if not value and (path := env.get("SUBCLI_TOKEN_FILE", "")):
        name = "SUBCLI_TOKEN_FILE"
        try:
            value = _read_token_file(path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UsageError(f"SUBCLI_TOKEN_FILE cannot be read: {why}.", hint=f"It names {path!r}.") from None
    if not value:
        return None, ""
    if not is_token(value):
        # Not shown: it may be a token with something after it.
        raise UsageError(
            f"{name} does not hold a valid token: it contains spaces, line breaks or other characters "
            "that cannot be sent in a header.",
            hint="Give the bare token.",
        )
    return Secret(value), name


def secrets_in(env: Mapping[str, str]) -> tuple[Secret, ...]:
    """The secrets in the environment, to be masked in logs: the token and the proxies' passwords."""
    values = [env.get("SUBCLI_TOKEN", "").strip()]
    if path := env.get("SUBCLI_TOKEN_FILE", ""):
        with contextlib.suppress(OSError, ValueError):
            values.append(_read_token_file(path))
    for name, value in env.items():
        if name.lower().endswith("_proxy") and "@" in value:
            user, _, password = value.rpartition("@")[0].rpartition("/")[2].partition(":")
            values += [user, password, unquote(user), unquote(password)]
    return tuple(Secret(value) for value in values if len(value) >= _SHORTEST_MASKED)


_read_pipes: dict[str, str] = {}


def _read_token_file(path: str) -> str:
    """The content of a file. For a pipe (``<(pass show judge)``), which can be read only once, it is remembered."""
    if path not in _read_pipes:
        with expand_user(path).open(encoding="utf-8-sig") as file:
            text = file.read(_TOKEN_FILE_MAX_BYTES).strip()
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return text
        _read_pipes[path] = text
    return _read_pipes[path]
