"""Which proxy leads to a server: one decision for both libraries, whatever the environment contains."""

from __future__ import annotations

import pytest

from subcli.settings.proxies import Proxy, read_proxies

JUDGE = "https://judge.example"


def decide(url: str = JUDGE, **env: str) -> Proxy:
    """The decision of this environment."""
    return read_proxies(env).decide(url)


def address(url: str = JUDGE, **env: str) -> str | None:
    """The proxy's URL as the libraries get it; ``None``: directly."""
    found = decide(url, **env)
    assert not found.problem
    return found.url.reveal() if found.url is not None else None


@pytest.mark.parametrize(
    ("url", "env", "proxy"),
    [
        (JUDGE, {}, None),
        (JUDGE, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("wss://judge.example/ws", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("http://judge.example", {"HTTPS_PROXY": "http://p:1"}, None),
        ("ws://judge.example/ws", {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "http://p:1"),
        (JUDGE, {"HTTP_PROXY": "http://p:1"}, None),
        (JUDGE, {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("ws://judge.example/ws", {"all_proxy": "http://p:1"}, "http://p:1"),
        (JUDGE, {"ALL_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:2"}, "http://q:2"),
        (JUDGE, {"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:2"}, "http://q:2"),
        (JUDGE, {"HTTPS_PROXY": "http://p:1", "https_proxy": ""}, None),
        (JUDGE, {"HTTPS_PROXY": "", "ALL_PROXY": "http://p:1"}, None),
        (JUDGE, {"HTTPS_PROXY": "proxy.example:3128"}, "http://proxy.example:3128"),
        (JUDGE, {"HTTPS_PROXY": "proxy.example"}, "http://proxy.example:80"),
        (JUDGE, {"HTTPS_PROXY": " HTTPS://proxy.example/ "}, "https://proxy.example:443"),
        (JUDGE, {"HTTPS_PROXY": "ada:p%40ss@proxy.example:3128"}, "http://ada:p%40ss@proxy.example:3128"),
        (JUDGE, {"HTTPS_PROXY": "http://ada:p@ss@proxy.example:3128"}, "http://ada:p%40ss@proxy.example:3128"),
        (JUDGE, {"HTTPS_PROXY": "http://ada@proxy.example:3128"}, "http://ada:@proxy.example:3128"),
        (JUDGE, {"HTTPS_PROXY": "http://[fd00::1]:3128"}, "http://[fd00::1]:3128"),
        (JUDGE, {"HTTPS_PROXY": "http://prøxy.example:1"}, "http://xn--prxy-hra.example:1"),
        ("http://judge.example", {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None),
        ("http://judge.example", {"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://p:1"),
        ("http://localhost:8000", {"HTTP_PROXY": "http://p:1"}, None),
        ("ws://127.0.0.1:8000/ws", {"ALL_PROXY": "socks5://p:1"}, None),
        ("http://[::1]:8000", {"HTTP_PROXY": "http://p:1"}, None),
    ],
)
def test_variables(url: str, env: dict[str, str], proxy: str | None) -> None:
    """Which variable counts, and the one form in which its value goes on."""
    assert address(url, **env) == proxy


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        (JUDGE, "judge.example", True),
        (JUDGE, "JUDGE.Example.", True),
        (JUDGE, "example", True),
        (JUDGE, ".example", True),
        (JUDGE, "*.example", True),
        (JUDGE, "*", True),
        (JUDGE, "other.example, judge.example", True),
        (JUDGE, "other.example judge.example", True),
        (JUDGE, "dge.example", False),
        (JUDGE, "judge.example.org", False),
        (JUDGE, "judge.example:443", True),
        (JUDGE, "judge.example:8443", False),
        ("https://judge.example:8443/x", "judge.example:8443", True),
        (JUDGE, "https://judge.example", True),
        (JUDGE, "ju*.example", True),
        (JUDGE, "localhost,[::1]", False),
        (JUDGE, "[::1, [, ], 10.0.0.0/99, :, http://, a/b, judge.example", True),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3", "10.1.2.3:443", True),
        ("https://10.1.2.3", "10.1.2.3:80", False),
        ("https://10.1.2.3", "10.*", True),
        ("https://10.1.2.3", "2.3", False),
        ("https://10.1.2.3", "11.0.0.0/8", False),
        ("https://10.1.2.3", "10.0.0.0/255.0.0.0", True),
        ("https://[fd00::5]", "fd00::/8", True),
        ("https://[fd00::5]", "[fd00::5]", True),
        ("https://[fd00::5]", "FD00:0::5", True),
        ("https://[fd00::5]:8443", "[fd00::5]:8443", True),
        ("https://[fd00::5]", "[fd00::5]:8443", False),
        ("https://[::ffff:10.1.2.3]", "10.0.0.0/8", True),
        ("https://jüdge.example", "xn--jdge-0ra.example", True),
        ("https://xn--jdge-0ra.example", "jüdge.example", True),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_exemptions(url: str, no_proxy: str, direct: bool, name: str) -> None:
    """Every form that an entry can have; what cannot be read is ignored. The socket has the same answer."""
    for each in (url, url.replace("http", "ws", 1)):
        assert (address(each, ALL_PROXY="http://p:1", **{name: no_proxy}) is None) is direct


def test_lower_case_exemptions_win() -> None:
    """As for the proxies themselves; but a blank one, as templates leave it, says nothing."""
    assert address(ALL_PROXY="p:1", no_proxy="x", NO_PROXY="*") is not None
    assert address(ALL_PROXY="p:1", no_proxy=" ", NO_PROXY="*") is None
    assert address(ALL_PROXY="p:1", no_proxy="*", NO_PROXY="") is None


def test_ignored_entries_are_known() -> None:
    """For `subcli doctor`."""
    assert read_proxies({"NO_PROXY": "a.example,[::,10.0.0.0/99"}).ignored == ("[::", "10.0.0.0/99")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks5://ada:hunter2@p:1080", "SOCKS proxies are not supported"),
        ("SOCKS5H://ada:hunter2@p:1080", "SOCKS proxies are not supported"),
        ("ftp://ada:hunter2@p:21", "ftp is not supported"),
        ("http://", "not a valid proxy address"),
        ("http://ada:hunter2#x@p:3128", "not a valid proxy address"),
        ("http://ada:hunter2@p:99999", "not a valid proxy address: its port is not a number"),
        ("http://ada:hunter2@p:0", "not a valid proxy address: its port is not a number"),
        ("p:port", "not a valid proxy address: its port is not a number"),
        ("ada:hunter2/x@p:3128", "is written as %XX"),
        ("http://[::1:hunter2", "not a valid proxy address"),
        ("ada:hunter2 @p", "not a valid proxy address"),
        ("http://ada:hunter2%ff@p:1", "not a valid proxy address"),
    ],
)
def test_unusable_proxies(value: str, words: str) -> None:
    """Named by their variable, never by their password; a host that is exempt does not care."""
    found = decide(ALL_PROXY=value)
    assert found.url is None
    assert words in found.problem
    assert "ALL_PROXY" in found.problem
    assert "hunter2" not in repr(found)
    assert not decide(ALL_PROXY=value, NO_PROXY="judge.example").problem


def test_zone_is_reached_directly() -> None:
    """The zone of a link-local address is a name of this machine's; no proxy knows it."""
    found = decide("http://[fe80::1%25eth0]:8000", HTTP_PROXY="p:1")
    assert (found.url, found.why) == (None, "no proxy knows the zone of fe80::1%25eth0")


def test_decision_in_words() -> None:
    """What `subcli doctor` shows, and what an error calls the proxy."""
    env = {"HTTPS_PROXY": "ada:hunter2@proxy.example:3128"}
    found = decide(**env)
    assert found.why == "through proxy.example:3128, from HTTPS_PROXY"
    assert str(found) == "the proxy proxy.example:3128 (from HTTPS_PROXY)"
    assert found.hint == "Check HTTPS_PROXY, or name judge.example in NO_PROXY."
    exempt = decide(**env, NO_PROXY=".example")
    assert exempt.why == "judge.example is exempt from HTTPS_PROXY by '.example' in NO_PROXY"
    assert decide().why == "no proxy is set"
    assert decide(HTTPS_PROXY="").why == "HTTPS_PROXY is empty"
    assert decide("http://localhost", HTTP_PROXY="p:1").why == "this machine is reached directly"
    assert "hunter2" not in repr(found)
