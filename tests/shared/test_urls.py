"""Questions about URLs."""

from __future__ import annotations

import pytest

from subcli.shared.urls import dialled_host, is_loopback, redirect_target, same_origin, server_identity, without_zone


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
        ("http://[fe80::1%eth0]:80", "http://[fe80:0::1%25eth0]"),
        ("http://[fe80::1%25]", "http://[fe80::1%2525]"),
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


@pytest.mark.parametrize(
    ("host", "dialled"),
    [
        ("fe80::1%25eth0", "fe80::1%eth0"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("fe80::1%25br%2Dlan", "fe80::1%br-lan"),
        ("fe80::1%25", "fe80::1%25"),
        ("fe80::1%2525", "fe80::1%25"),
        ("::1", "::1"),
        ("judge.example", "judge.example"),
        ("a%25b", "a%25b"),
    ],
)
def test_zone_of_an_address(host: str, dialled: str) -> None:
    """A URL writes it after `%25` (RFC 6874), the system after `%`."""
    assert dialled_host(host) == dialled


def test_zone_is_not_sent() -> None:
    """It means nothing to the server, which may redirect to itself without it."""
    url = "ws://[fe80::1%25eth0]:8000/ws?token=a%5Db"
    assert without_zone(url) == "ws://[fe80::1]:8000/ws?token=a%5Db"
    assert without_zone("http://a.example/%25]") == "http://a.example/%25]"
    assert redirect_target(url, "http://[fe80::1]:8000/x") == "http://[fe80::1%25eth0]:8000/x"
    assert redirect_target(url, "/x") == "ws://[fe80::1%25eth0]:8000/x"
    assert redirect_target(url, "http://[fe80::2]:8000/x") is None
    assert redirect_target(url, "http://u@[fe80::1]:8000/x") is None
    assert is_loopback("::1%25lo")
    assert not is_loopback("fe80::1%25lo")
