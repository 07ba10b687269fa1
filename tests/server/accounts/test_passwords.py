"""What can be a password, and what a hash of it tells."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher, extract_parameters

from subcli.server.accounts.passwords import PasswordError, Passwords
from subcli.server.settings import PasswordCost
from tests.server.conftest import CHEAP


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(CHEAP)


@pytest.mark.parametrize("length", [8, 1024])
def test_shortest_and_longest_password(passwords: Passwords, length: int) -> None:
    """Each of its characters counts, and nothing may follow it."""
    password = "p" * length
    stored = passwords.hash(password)
    assert passwords.verify(password, stored)
    for wrong in (password[:-1], password + "p", password[:-1] + "q", "q" + password[1:]):
        assert not passwords.verify(wrong, stored)


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("p" * 7, "A password must have between 8 and 1024 characters."),
        ("p" * 1025, "A password must have between 8 and 1024 characters."),
        ("\ud800" * 8, "The password is not valid Unicode."),
    ],
)
def test_text_that_cannot_be_a_password(passwords: Passwords, password: str, said: str) -> None:
    """The sentence is for whoever chose it; at a login it is a wrong password."""
    with pytest.raises(PasswordError) as error:
        passwords.hash(password)
    assert str(error.value) == said
    assert not passwords.verify(password, passwords.hash("another password"))


def test_letters_are_the_same_composed_and_decomposed(passwords: Passwords) -> None:
    """Keyboards differ in how they make an ü."""
    assert passwords.verify("geschu\u0308tzt", passwords.hash("gesch\u00fctzt"))


def test_unknown_user_has_no_password(passwords: Passwords) -> None:
    """Not even the one that is verified in its place, which takes as long as any other."""
    assert not passwords.verify("no user has this password", None)
    assert not passwords.verify("a password", "not a hash")


def test_hash_has_the_cost_that_was_chosen() -> None:
    """With another cost it is outdated, and still verified."""
    old, new = Passwords(CHEAP), Passwords(PasswordCost(passes=2, memory_kib=32, lanes=3))
    stored = new.hash("a password")
    assert stored.startswith("$argon2id$v=19$m=32,t=2,p=3$")
    assert (old.is_outdated(stored), new.is_outdated(stored)) == (True, False)
    assert old.verify("a password", stored)


def test_start_hashes_nothing_and_unknown_names_cost_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that starts computes no hash; one that no password has is verified with the cost of all others."""
    made: list[str] = []
    hash_password = PasswordHasher.hash

    def noted(hasher: PasswordHasher, password: bytes) -> str:
        made.append(hash_password(hasher, password))
        return made[-1]

    verified: list[str] = []
    verify = PasswordHasher.verify

    def seen(hasher: PasswordHasher, stored: str, password: bytes) -> bool:
        verified.append(stored)
        return verify(hasher, stored, password)

    monkeypatch.setattr(PasswordHasher, "hash", noted)
    monkeypatch.setattr(PasswordHasher, "verify", seen)
    passwords = Passwords(CHEAP)
    assert made == []
    stored = passwords.hash("correct horse")
    assert not passwords.verify("correct horse", None)
    [dummy] = verified
    assert extract_parameters(dummy) == extract_parameters(stored)
    assert len(dummy) == len(stored)
