"""Values that must not be seen, and text from which they are taken out."""

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
def test_a_secret_prints_as_a_mask(show: Callable[[Secret], str]) -> None:
    """Whichever way it is printed."""
    shown = show(Secret(CANARY))
    assert CANARY not in shown
    assert MASK in shown


def test_a_mask_can_be_aligned() -> None:
    """As any text in a table."""
    assert f"{Secret(CANARY):>5}" == "  ***"


def test_a_secret_gives_itself_only_when_asked() -> None:
    """``reveal()`` is the one way."""
    assert Secret(CANARY).reveal() == CANARY
    assert not hasattr(Secret(CANARY), "__dict__")


@pytest.mark.parametrize("copier", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_neither_pickled_nor_copied(copier: Callable[[Secret], object]) -> None:
    """No second one comes into being where nobody looks."""
    with pytest.raises(TypeError, match=r"^a secret must not be pickled$"):
        copier(Secret(CANARY))


def test_secrets_compare_by_what_they_hide() -> None:
    """And never to a text."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_an_empty_secret_is_none() -> None:
    """An empty ``SUBCLI_TOKEN`` is no token."""
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
def test_a_token_is_what_can_stand_in_a_header(text: str, sendable: bool) -> None:
    """Printable ASCII without spaces: anything else would end the header, or be something else on the way."""
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
def test_a_secret_is_known_by_its_shape(text: str) -> None:
    """In URLs, headers, JSON and their representations, without knowing its value; and again is the same."""
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
def test_the_rest_of_the_text_stays(text: str, shown: str) -> None:
    """What is not secret is still worth reading."""
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
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    """Words about secrets are none."""
    assert redact(text) == text


@pytest.mark.parametrize("value", ["hunter2", "with space", "a/b+c=", "é&?"])
def test_a_known_secret_is_taken_out_wherever_it_stands(value: str) -> None:
    """Literally, and as it stands in a URL."""
    from urllib.parse import quote

    text = f"before {value} after {quote(value, safe='')} end"
    assert redact(text, Secret(value)) == "before *** after *** end"


def test_a_secret_within_another_leaves_no_rest() -> None:
    """The longest goes first."""
    assert redact("x abcdef y abc z", Secret("abc"), Secret("abcdef")) == "x *** y *** z"
    assert redact("azza", Secret("zz"), Secret("azza")) == "***"


def test_an_empty_secret_takes_nothing_out() -> None:
    """It would be between all letters."""
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
def test_a_hostile_text_costs_no_more_than_another(text: str) -> None:
    """No pattern goes back over a long text again and again: this ends at once or, with such a pattern, never."""
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
def test_no_record_passes_with_a_secret(emit: Callable[[logging.Logger], None]) -> None:
    """Neither in its text, nor in its arguments, nor in its traceback; and no record is lost."""
    shown = logged(emit)
    assert shown
    assert CANARY not in shown
    assert MASK in shown


def test_a_traceback_is_still_one() -> None:
    """Only the secret is gone."""
    shown = logged(fail)
    assert "while connecting" in shown
    assert "Traceback" in shown
    assert "ValueError: token=***" in shown


def test_a_stack_is_cleaned_too() -> None:
    """Source lines with a literal secret would show it."""
    shown = logged(lambda logger: logger.warning("here", stack_info=True), Secret("stack_info=True"))
    assert "Stack (most recent call last)" in shown
    assert "stack_info=True" not in shown


def test_known_secrets_are_taken_out_of_records() -> None:
    """Whatever their shape."""
    assert logged(lambda logger: logger.warning("say %s", "hunter2"), Secret("hunter2")) == "say ***"


def test_known_secrets_are_taken_out_of_tracebacks() -> None:
    """Where nothing else would tell that they are some."""
    assert "ValueError" not in logged(fail, Secret("ValueError"))


def test_a_record_may_pass_twice() -> None:
    """Two handlers with a filter each: a traceback formatted by the first is clean for the second."""
    record = logging.LogRecord("test", logging.ERROR, "", 0, "a", None, None)
    record.exc_text = f"token={CANARY}"
    assert RedactingFilter().filter(record)
    assert record.exc_text == "token=***"
    assert RedactingFilter().filter(record)
    assert record.getMessage() == "a"
