"""The files that pages load, and the documentation of the API."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, Response

_STATIC: Final = Path(__file__).with_name("static")
_MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_SWAGGER: Final = ("swagger-ui-bundle.js", "swagger-ui.css")
"""The files of Swagger UI that `/docs` needs."""


def add_assets(router: APIRouter) -> None:
    """Add `/static` and `/docs`, which has a content security policy of its own."""
    # Listed once, so that a request's path is never joined to a directory.
    assets = {path.name: path for path in _STATIC.iterdir() if path.suffix in _MEDIA_TYPES}
    assets |= {name: _swagger_directory() / name for name in _SWAGGER}

    @router.get("/static/{name}")
    def static_file(name: str) -> Response:
        path = assets.get(name)
        if path is None:
            raise HTTPException(404, "File not found.")
        # The same for everybody, but not kept without asking: another version may be running.
        headers = {"Cache-Control": "no-cache"}
        return FileResponse(path, media_type=_MEDIA_TYPES[path.suffix], headers=headers)

    script, style = _SWAGGER
    docs = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="subcli API",
        swagger_js_url=f"static/{script}",
        swagger_css_url=f"static/{style}",
        swagger_favicon_url="static/icon.svg",
    )
    headers = {"Content-Security-Policy": _docs_policy(bytes(docs.body).decode())}

    @router.get("/docs")
    def api_docs() -> Response:
        return HTMLResponse(docs.body, headers=headers)


def _swagger_directory() -> Path:
    """Where Swagger UI is installed: with fastapi-offline, of which nothing else is used."""
    spec = importlib.util.find_spec("fastapi_offline")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("static")


def _docs_policy(page: str) -> str:
    """Allows what this server serves, and the page's inline script by its hash. Swagger UI has its icons inline."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    )
    return (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
