"""Which certificate authorities are trusted, and the one TLS context for all connections.

``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are those of OpenSSL. ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE``, which many
machines set for other programs, are used if those are not set. OpenSSL ignores an unreadable file and then trusts
nothing; here it is an error that names the file.
"""

from __future__ import annotations

import functools
import logging
import os
import ssl
from collections.abc import Mapping
from typing import Final

from subcli.core.errors import UsageError

_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_log = logging.getLogger("subcli.tls")


@functools.cache
def system_trust() -> ssl.SSLContext:
    """The context for every TLS connection of this process.

    Raises:
        UsageError: a variable names something that holds no certificates.
    """
    return make_context(os.environ)


def trust_origin(env: Mapping[str, str]) -> str:
    """What is trusted, in words: the system, or the variable that says otherwise."""
    own = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if env.get(name)]
    name = next(iter(own or [name for name in _BUNDLES if env.get(name)]), "")
    return f"{name}={env[name]}" if name else "the system"


def make_context(env: Mapping[str, str]) -> ssl.SSLContext:
    """A context that verifies names and certificates.

    ``ssl.create_default_context`` raises where ``SSLKEYLOGFILE`` cannot be opened, so it is not used.

    Raises:
        UsageError: a variable names something that holds no certificates.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    name, _, path = trust_origin(env).partition("=")
    if name in _BUNDLES:
        _load(context, name, path)
    else:
        context.load_default_certs()
        for own in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            if env.get(own):
                _load(context, own, env[own])
    if env.get("SSLKEYLOGFILE"):
        try:
            context.keylog_filename = env["SSLKEYLOGFILE"]
        except OSError as error:
            _log.warning("SSLKEYLOGFILE is ignored: %s: %s.", env["SSLKEYLOGFILE"], error.strerror)
    return context


def _load(context: ssl.SSLContext, name: str, path: str) -> None:
    """Trust the certificates in ``path``, a file or a directory that the variable ``name`` names."""
    hint = f"Point {name} to certificates in PEM format, or unset it."
    try:
        if os.path.isdir(path):
            # OpenSSL looks up names later, by hash: for now, only check that it is readable.
            os.scandir(path).close()
            context.load_verify_locations(capath=path)
            return
        if name == "SSL_CERT_DIR":
            # A list of directories, of which OpenSSL skips those that do not exist.
            if any(os.path.isdir(each) for each in path.split(os.pathsep)):
                return
            raise UsageError(f"{name} names {path}, which is not a directory.", hint=hint)
        with open(path, "rb"):
            pass
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise UsageError(f"{name} names {path}, which contains no certificate.", hint=hint) from None
    except OSError as error:
        raise UsageError(f"{name} names {path}, which cannot be read: {error.strerror}.", hint=hint) from None
