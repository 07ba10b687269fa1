"""Values that must not be shown, and redacting them from text."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable

import pytest

from subcli.shared.secret import MASK, RedactingFilter, Secret, is_token, redact

CANARY = "c4n4ry-T0KEN.with~strange_signs"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJl"


# -- the value ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>20}",
        lambda secret: f"{secret:>20}",
        lambda secret: "{}".format(*[secret]),
        lambda secret: str({"token": secret}),
        lambda secret: str([secret]),
        lambda secret: repr(Exception(secret)),
    ],
)
def test_secret_prints_as_mask(show: Callable[[Secret], str]) -> None:
    """However it is formatted."""
    shown = show(Secret(CANARY))
    assert CANARY not in shown
    assert MASK in shown


def test_mask_can_be_aligned() -> None:
    """Format specifications apply to the mask."""
    assert f"{Secret(CANARY):>5}" == "  ***"


def test_secret_is_revealed_only_on_request() -> None:
    """`reveal()` is the only way."""
    assert Secret(CANARY).reveal() == CANARY
    assert not hasattr(Secret(CANARY), "__dict__")


@pytest.mark.parametrize("copier", [pickle.dumps, copy.copy, copy.deepcopy])
def test_secret_cannot_be_pickled_or_copied(copier: Callable[[Secret], object]) -> None:
    """So that no second copy appears unnoticed."""
    with pytest.raises(TypeError, match=r"^a secret must not be pickled$"):
        copier(Secret(CANARY))


def test_secrets_compare_by_value() -> None:
    """And are never equal to a text."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_empty_secret_is_false() -> None:
    """An empty `SUBCLI_TOKEN` is not a token."""
    assert not Secret("")
    assert Secret("a")


@pytest.mark.parametrize(
    ("text", "sendable"),
    [
        ("abc.DEF-123_~+/=", True),
        ("", False),
        ("two words", False),
        ("with\nnewline", False),
        ("with\ttab", False),
        ("t\u00f6ken", False),
        ("\u202eabc", False),
    ],
)
def test_token_must_be_valid_in_a_header(text: str, sendable: bool) -> None:
    """Printable ASCII without spaces: anything else could end the header or be altered on the way."""
    assert is_token(text) is sendable


# -- text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "wss://h/ws/submissions/7?token={}&after_seq=3",
        "wss://h/ws/submissions/7?after_seq=3&token={}",
        "GET /ws/submissions/7?token={} HTTP/1.1",
        "?access_token={}#end",
        "refresh_token={}",
        "watch-token: {}",
        "SUBCLI_TOKEN={}",
        "token%3D{}",
        '{{"token": "{}", "id": 7}}',
        '{{"access_token":"{}"}}',
        "{{'password': '{}'}}",
        '{{\\"token\\": \\"{}\\"}}',
        "password={}",
        "passwd: {}",
        "client_secret={};",
        "api_key={}",
        "X-Api-Key: {}",
        "credentials={}",
        "token=b'{}'",
        "Authorization: Bearer {}",
        "authorization: Basic {}\r\nHost: h",
        "Authorization: {}",
        "Proxy-Authorization: Digest username=u, response={}",
        "('Authorization', 'Bearer {}')",
        "[(b'authorization', b'Bearer {}'), (b'host', b'h')]",
        "Cookie: a=b; session={}",
        "Set-Cookie: session={}; Path=/",
        "the server said: Bearer {}",
        "http://user:{}@proxy:8080/",
        "https://{}@host/path",
        "socks5h://user:{}@[::1]:1080",
    ],
)
def test_secrets_are_recognised_by_shape(text: str) -> None:
    """In URLs, headers, JSON and their `repr`, without knowing the value; redacting twice changes nothing."""
    shown = redact(text.format(CANARY))
    assert CANARY not in shown
    assert MASK in shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"password": "two words", "id": 7}', '{"password": "***", "id": 7}'),
        ("{'password': 'it\\'s', 'id': 7}", "{'password': '***', 'id': 7}"),
        ("http://user:p@ss@proxy:8080/", "http://***@proxy:8080/"),
        ("wss://h/ws/7?token=abc&after_seq=3", "wss://h/ws/7?token=***&after_seq=3"),
        ("Authorization: Bearer abc\r\nHost: h", "Authorization: ***\r\nHost: h"),
        (f"said {JWT} to", "said *** to"),
        (f"<{JWT}>", "<***>"),
        ("eyJhbGciOi.eyJzdWIi", "***"),
    ],
)
def test_rest_of_text_is_kept(text: str, shown: str) -> None:
    """Only the secret is redacted."""
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "no such token, try again",
        "tokens: 5",
        "token_type: bearer",
        '{"token":null,"id":7}',
        '{"token": ""}',
        "Bearer token",
        "basic usage",
        "https://example.com/?q=a@b",
        "http://127.0.0.1:8000/api/submissions/7",
        "a word, another",
        "2026-11-23T12:00:00.000Z",
        "",
    ],
)
def test_text_without_secrets_is_unchanged(text: str) -> None:
    """Words about secrets are not secrets."""
    assert redact(text) == text


@pytest.mark.parametrize("value", ["hunter2", "with space", "a/b+c=", "é&?"])
def test_known_secret_is_redacted_anywhere(value: str) -> None:
    """Literally, and URL-encoded."""
    from urllib.parse import quote

    text = f"before {value} after {quote(value, safe='')} end"
    assert redact(text, Secret(value)) == "before *** after *** end"


def test_longest_secret_is_redacted_first() -> None:
    """If one contains another, nothing remains."""
    assert redact("x abcdef y abc z", Secret("abc"), Secret("abcdef")) == "x *** y *** z"
    assert redact("azza", Secret("zz"), Secret("azza")) == "***"


def test_empty_secret_redacts_nothing() -> None:
    """It would match between all characters."""
    assert redact("abc", Secret("")) == "abc"


@pytest.mark.parametrize(
    "text",
    [
        "a_" * 30_000,
        "a." * 30_000,
        "token " * 10_000,
        "token" + " " * 60_000,
        "token='" + "\\" * 60_000,
        "://" * 20_000,
        "eyJaaaaa." * 7_000,
    ],
)
def test_redacting_hostile_text_takes_linear_time(text: str) -> None:
    """No pattern backtracks over a long text: with such a pattern this test would not end."""
    assert redact(text) is not None


# -- logs ---------------------------------------------------------------------------------------------


def logged(emit: Callable[[logging.Logger], None], *known: Secret) -> str:
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logger = logging.Logger("test")
    handler = Handler()
    handler.addFilter(RedactingFilter(*known))
    logger.addHandler(handler)
    emit(logger)
    return "\n".join(lines)


def fail(logger: logging.Logger) -> None:
    try:
        raise ValueError(f"token={CANARY}")
    except ValueError:
        logger.exception("while connecting")


@pytest.mark.parametrize(
    "emit",
    [
        lambda logger: logger.warning(f"?token={CANARY}"),
        lambda logger: logger.warning("GET %s", f"wss://h/?token={CANARY}"),
        lambda logger: logger.warning("%(url)s", {"url": f"http://u:{CANARY}@h/"}),
        lambda logger: logger.warning("headers %r", [("Authorization", f"Bearer {CANARY}")]),
        lambda logger: logger.warning("too few %s %s", f"token={CANARY}"),
        lambda logger: logger.warning("no number %d", f"token={CANARY}"),
        lambda logger: logger.warning(ValueError(f"token={CANARY}")),
        fail,
    ],
)
def test_log_records_are_redacted(emit: Callable[[logging.Logger], None]) -> None:
    """In the message, the arguments and the traceback; no record is lost."""
    shown = logged(emit)
    assert shown
    assert CANARY not in shown
    assert MASK in shown


def test_redacted_traceback_is_kept() -> None:
    """Only the secret is removed."""
    shown = logged(fail)
    assert "while connecting" in shown
    assert "Traceback" in shown
    assert "ValueError: token=***" in shown


def test_stack_is_redacted() -> None:
    """Source lines may contain a literal secret."""
    shown = logged(lambda logger: logger.warning("here", stack_info=True), Secret("stack_info=True"))
    assert "Stack (most recent call last)" in shown
    assert "stack_info=True" not in shown


def test_known_secrets_are_redacted_from_records() -> None:
    """Whatever their shape."""
    assert logged(lambda logger: logger.warning("say %s", "hunter2"), Secret("hunter2")) == "say ***"


def test_known_secrets_are_redacted_from_tracebacks() -> None:
    """Even if their shape reveals nothing."""
    assert "ValueError" not in logged(fail, Secret("ValueError"))


def test_record_may_be_filtered_twice() -> None:
    """With two handlers, a traceback formatted by the first is redacted for the second."""
    record = logging.LogRecord("test", logging.ERROR, "", 0, "a", None, None)
    record.exc_text = f"token={CANARY}"
    assert RedactingFilter().filter(record)
    assert record.exc_text == "token=***"
    assert RedactingFilter().filter(record)
    assert record.getMessage() == "a"
