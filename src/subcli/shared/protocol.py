"""Limits, statuses and close codes of the protocol. :mod:`subcli.shared.messages` has its messages."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""The largest message a server sends (specification, "Server Configuration")."""

MAX_FRAME_BYTES: Final = 1024 * 1024
"""The largest frame that a client accepts (contract, section 7)."""

MAX_DEPTH: Final = 64
"""How deeply objects and lists may be nested (contract, section 7)."""

MAX_ID: Final = 2**63 - 1
"""The largest id of a submission (contract, section 1)."""

MAX_SOURCE_BYTES: Final = 256 * 1024
"""The largest submission, all files together (contract, section 2)."""

OUTPUT: Final = "output"
"""The type of the messages with what builds and tests print, which only clients get that ask for them."""

PING: Final = "ping"
"""The heartbeat as the specification's own client sends it; some servers know only this form."""

PONG: Final = "pong"

PASSWORD_MIN_LENGTH: Final = 8
PASSWORD_MAX_LENGTH: Final = 1024
"""Of our server, in characters."""

TERMINAL_STATUSES: Final = frozenset(
    {"completed", "failed", "build_failed", "deploy_failed", "validation_failed", "cancelled", "error"}
)
"""Statuses of a snapshot after which nothing changes (contract, section 6)."""

STATUS_RANKS: Final = {
    "pending": 0,
    "queued": 0,
    "submitted": 0,
    "building": 1,
    "built": 2,
    "deploying": 3,
    "testing": 4,
    "running": 4,
    **dict.fromkeys(TERMINAL_STATUSES, 9),
}
"""How far a submission with this status has come."""


_SUBMISSION_CHARS: Final = 16


def submission_part(epoch: str) -> str:
    """What the names of the logs of all runs of a submission have in common (docs/protocol.md, "Runs")."""
    return epoch[:_SUBMISSION_CHARS]


class CloseCode(IntEnum):
    """Close codes (RFC 6455 section 7.4; specification, "Error Handling")."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    UNAUTHORIZED = 4003
    NOT_FOUND = 4004
    LOG_REPLACED = 4010
    RATE_LIMITED = 4029
