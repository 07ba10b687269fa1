"""Every request gets a response that the OpenAPI document describes, never a 500."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from subcli.server.settings import OWN_PATHS

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.thorough
@pytest.mark.long
@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is in the dev group")
@pytest.mark.parametrize("logged_in", [True, False])
@pytest.mark.timeout(600)
async def test_schemathesis_finds_no_errors(start: Any, tmp_path: Path, logged_in: bool) -> None:
    """Schemathesis over every route, with and without a login: no 500, and no undocumented response."""
    async with start(auth=True, logins=100_000, logins_address=100_000) as live:
        token = (await live.be("ada"))["access_token"]
        await live.submit()
        command = [
            *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"),
            *(f"{live.url}/openapi.json", "--checks", CHECKS, "--max-examples", "25"),
            *("--phases", "coverage,fuzzing", "--seed", "1", "--generation-database", "none"),
            # Logging out would leave the rest with nothing but 401.
            *(("--exclude-path", "/api/auth/logout") if logged_in else ()),
            *(("--header", f"Authorization: Bearer {token}") if logged_in else ()),
        ]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0, output[-6000:]
        assert (await live.http.get("/api/info")).status_code == 200


async def test_paths_that_no_prefix_may_begin_with(live: Any) -> None:
    """Those that the server has."""
    routes = live.server.config.app.routes
    found = {route.path.split("/")[1] for route in routes if hasattr(route, "path")}
    assert found | {"api"} == OWN_PATHS
