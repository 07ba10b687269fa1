"""Whom we trust: the system, or what a variable names; and what is said when that is not possible."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import pytest

from subcli.client.network import tls_failure
from subcli.client.trust import make_context, trust_origin
from subcli.core.errors import UsageError
from subcli.core.inputs import Blocked
from tests.client.certificates import make_certificate, tls_context
from tests.system.scripted import finish, scripted

NAMES = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]


async def handshake(port: int, context: ssl.SSLContext) -> Blocked | None:
    """How a TLS handshake ends; ``None``: well."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    except ssl.SSLError as error:
        blocked = tls_failure(error, f"127.0.0.1:{port}")
        assert blocked is not None
        return blocked
    writer.transport.abort()
    await asyncio.sleep(0)
    return None


@pytest.mark.parametrize("name", NAMES)
async def test_own_ca_is_trusted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the variables names it; without one it is not, and the hint says what to do."""
    for each in (*NAMES, "SSL_CERT_DIR"):
        monkeypatch.delenv(each, raising=False)
    async with scripted(finish, tls=tls_context(tmp_path)) as server:
        blocked = await handshake(server.port, make_context({}))
        assert blocked is not None
        assert "is not trusted" in blocked.reason
        assert "SSL_CERT_FILE" in blocked.hint
        assert await handshake(server.port, make_context({name: str(tmp_path / "ca.pem")})) is None
    assert trust_origin({name: "x"}) == f"{name}=x"


@pytest.mark.parametrize(
    ("host", "days", "words", "hint"),
    [
        ("127.0.0.1", (-9, -1), "has expired", "whoever runs the server"),
        ("127.0.0.1", (1, 9), "not yet valid", "clock"),
        ("127.0.0.2", (-1, 1), "not valid for '127.0.0.1'", "Use the name"),
        ("judge.example", (-1, 1), "not valid for '127.0.0.1'", "Use the name"),
    ],
)
async def test_bad_certificates(host: str, days: tuple[float, float], words: str, hint: str, tmp_path: Path) -> None:
    """The hint fits the fault: another CA would not help."""
    async with scripted(finish, tls=tls_context(tmp_path, host, days=days)) as server:
        blocked = await handshake(server.port, make_context({"SSL_CERT_FILE": str(tmp_path / "ca.pem")}))
    assert blocked is not None
    assert words in blocked.reason
    assert hint in blocked.hint


async def test_foreign_ca_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a variable restricts the trust, the hint names it."""
    tls_context(tmp_path / "other")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other/ca.pem"))
    async with scripted(finish, tls=tls_context(tmp_path)) as server:
        blocked = await handshake(server.port, make_context({"SSL_CERT_FILE": str(tmp_path / "other/ca.pem")}))
    assert blocked is not None
    assert f"SSL_CERT_FILE={tmp_path}/other/ca.pem" in blocked.hint


@pytest.mark.parametrize("name", NAMES)
def test_junk_is_named(name: str, tmp_path: Path) -> None:
    """A file that is missing, empty or something else: the file, and what is wrong with it."""
    junk = tmp_path / "junk.pem"
    with pytest.raises(UsageError, match=f"{name} names {junk}, which cannot be read: No such file"):
        make_context({name: str(junk)})
    for text in ("", "junk", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"):
        junk.write_text(text)
        with pytest.raises(UsageError, match=f"{name} names {junk}, which contains no certificate") as caught:
            make_context({name: str(junk)})
        assert name in caught.value.hint


def test_directories(tmp_path: Path) -> None:
    """One of several may be missing, as OpenSSL has it; not the only one."""
    make_context({"SSL_CERT_DIR": f"/nowhere:{tmp_path}"})
    make_context({"REQUESTS_CA_BUNDLE": str(tmp_path)})
    with pytest.raises(UsageError, match="SSL_CERT_DIR names /nowhere"):
        make_context({"SSL_CERT_DIR": "/nowhere"})


def test_first_variable_counts(tmp_path: Path) -> None:
    """OpenSSL's own before those of other programs, which are not even read then."""
    tls_context(tmp_path)
    own = {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "CURL_CA_BUNDLE": "/nowhere"}
    make_context(own)
    assert trust_origin(own).startswith("SSL_CERT_FILE=")
    assert trust_origin({"CURL_CA_BUNDLE": "b", "REQUESTS_CA_BUNDLE": "a"}) == "REQUESTS_CA_BUNDLE=a"
    assert trust_origin({"CURL_CA_BUNDLE": ""}) == "the system"


@pytest.mark.parametrize("where", ["missing/keys", "."])
def test_key_log_that_cannot_be_opened(where: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A warning; everything else works."""
    with caplog.at_level(logging.WARNING):
        context = make_context({"SSLKEYLOGFILE": str(tmp_path / where)})
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert "SSLKEYLOGFILE is ignored" in caplog.text
    make_context({"SSLKEYLOGFILE": str(tmp_path / "keys")})
    assert (tmp_path / "keys").exists()


async def test_certificate_that_only_older_pythons_accept(tmp_path: Path) -> None:
    """Python 3.13 and later check as RFC 5280 says: another CA would not help, another certificate does."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(*make_certificate(tmp_path, names_its_ca=False))
    context = make_context({"SSL_CERT_FILE": str(tmp_path / "ca.pem")})
    async with scripted(finish, tls=server_context) as server:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        assert await handshake(server.port, context) is None
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        blocked = await handshake(server.port, context)
    assert blocked is not None
    assert "Missing Authority Key Identifier" in blocked.reason
    assert "Python 3.13" in blocked.hint
