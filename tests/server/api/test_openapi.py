"""Every request gets a response that the OpenAPI document describes, never a 500."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI

from subcli.judge import events
from subcli.judge.analysis.finding import Finding
from subcli.judge.events import GroupResult, Measured
from subcli.judge.evidence import Site
from subcli.server.api import models
from subcli.server.pages.site import make_pages
from subcli.server.settings import OWN_PATHS
from subcli.shared import messages

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


EXAMPLES = "25" if os.environ.get("SUBCLI_FUZZ") else "3"
"""Of each route; `make soak` tries more."""
PHASES = {True: "coverage,fuzzing", False: "fuzzing"}
"""Without a login, nearly every answer is 401."""


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
            *(f"{live.url}/openapi.json", "--checks", CHECKS, "--max-examples", EXAMPLES),
            *("--phases", PHASES[logged_in], "--seed", "1", "--generation-database", "none"),
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


DESCRIBED: dict[str, tuple[type[msgspec.Struct], dict[str, Any]]] = {
    "TestBody": (
        messages.TestResult,
        events.result(test_id="a", test_name="A", test_type="t", status="s", duration_ms=1, message="m", expected="e",
                      actual="a", output="o", outcome="passed", measured=Measured(1, 1, "g", 1.0, 1.0)),
    ),
    "AnalysisBody": (
        messages.ErrorAnalysis,
        events.error_analysis(Finding("c", "a", ("s",), "e", Site("f", 1)), test_id="a", test_name="A"),
    ),
    "LocationBody": (messages.Location, {}),
    "GroupBody": (messages.GroupSummary, events.group_results([GroupResult("g", "passed", 1.0, 1.0)])[0]),
    "SummaryBody": (messages.Summary, {}),
}  # fmt: skip
OTHER_PLATFORMS = {"error_category", "test_type"}
"""What only their results, and only their analyses have."""


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_field_of_an_event_is_described(name: str) -> None:
    """What the judge says and what clients read stands in the document, with everything that events have in common."""
    struct, event = DESCRIBED[name]
    document = FastAPI()
    document.add_api_route("/x", lambda: None, response_model=getattr(models, name))
    described = document.openapi()["components"]["schemas"][name]["properties"]
    known = {field.encode_name for field in msgspec.structs.fields(struct)}
    assert set(event) <= set(described)
    assert known - set(described) <= OTHER_PLATFORMS


async def test_paths_that_no_prefix_may_begin_with(live: Any) -> None:
    """Those that the server has."""
    routes = (*live.server.config.app.routes, *make_pages(live.services).routes)
    found = {route.path.split("/")[1] for route in routes if hasattr(route, "path")}
    # The home page has no name, and this server has no logins.
    assert found - {""} | {"api", "login", "logout"} == OWN_PATHS
