"""Questions about URLs."""

from __future__ import annotations

import pytest

from subcli.shared.urls import same_origin, server_identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://LOCALHOST:8000/", "http://localhost:8000"),
        ("HTTPS://judge.example:443", "https://judge.example"),
        ("http://judge.example:80/", "http://judge.example"),
        ("http://judge.example:", "http://judge.example"),
        ("https://judge.example:0443", "https://judge.example"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example", "https://bücher.example"),
        ("https://XN--BCHER-KVA.example", "https://bücher.example"),
        ("http://[0:0::1]:8000", "http://[::1]:8000"),
        ("http://[FE80::1%25eth0]", "http://[fe80::1%25eth0]"),
        ("https://judge.example/Judge/", "https://JUDGE.example/Judge"),
    ],
)
def test_one_server(one: str, other: str) -> None:
    """Case, default ports, trailing slashes and the two ways to write a name or address make no other server."""
    assert server_identity(one) == server_identity(other)
    assert same_origin(one, other)
    assert server_identity(server_identity(one)) == server_identity(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://judge.example", "https://judge.example"),
        ("http://judge.example:443", "http://judge.example"),
        ("http://judge.example/a", "http://judge.example/A"),
        ("http://judge.example", "http://judge.example.org"),
        ("http://[fe80::1%25eth0]", "http://[fe80::1%25eth1]"),
    ],
)
def test_two_servers(one: str, other: str) -> None:
    """Scheme, port, path and host tell them apart."""
    assert server_identity(one) != server_identity(other)


@pytest.mark.parametrize("text", ["http://[::1", "http://h:port", "http://h:99999", "", "no url", "http://xn--a\udcff"])
def test_what_is_no_address_stays_as_it_is(text: str) -> None:
    """Whoever checks addresses says what is wrong with it."""
    assert server_identity(text) == text
