"""`docs/deploy` fits the program, checked with the tools that will read it."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from dockerfile_parse import DockerfileParser

from subcli.server import ServerLimits
from subcli.server.edge.slow_requests import BODY_TIMEOUT_S, HEAD_TIMEOUT_S, READ_TIMEOUT_S
from subcli.server.run.startup import MIN_KEY_BYTES
from subcli.server.settings import ADJUSTABLE
from tests.hang import HANG_S

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "docs" / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")


def parse(words: Sequence[str]) -> str:
    """Parse a command line with the program's own parser, without running it. Returns the command's path.

    Raises:
        ClickException: it would not take it.
    """
    import typer

    from subcli.cli.app import app

    command: Any = typer.main.get_command(app)
    path: list[str] = []
    words = list(words)
    while True:
        with command.make_context(path[-1] if path else "subcli", words) as context:
            if not hasattr(command, "resolve_command"):
                return " ".join(path)
            name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
            path.append(name)


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))


def dockerfile() -> DockerfileParser:
    return DockerfileParser(fileobj=io.BytesIO((DEPLOY / "Dockerfile").read_bytes()))


def steps() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments."""
    return [(each["instruction"], each["value"]) for each in dockerfile().structure if each["instruction"] != "COMMENT"]


def documented() -> Iterator[tuple[str, list[str]]]:
    """Every command line of the program under `docs/deploy`, with its source."""
    for name, service in compose()["services"].items():
        if service.get("image") == "subcli":
            yield f"compose.yaml, {name}", service["command"]
    docker = dict(steps())
    yield "Dockerfile", [*json.loads(docker["ENTRYPOINT"]), *json.loads(docker["CMD"])][1:]
    for unit in UNITS:
        for line in re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE):
            yield unit.name, shlex.split(line.replace("%i", "8001"))[1:]
    for block in re.findall(r"```sh\n(.*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL):
        for line in block.splitlines():
            found = re.search(r"(?:^subcli|/bin/subcli|run --rm gateway-1) (.*)$", line)
            if found:
                yield "README.md", shlex.split(found[1], comments=True)


def test_documented_command_lines_are_valid() -> None:
    """The program accepts each of them, with all options."""
    found = [(where, parse(words)) for where, words in documented()]
    assert {command for _, command in found} >= {"serve", "worker", "user add", "auth login", "submit"}
    assert sum(where.startswith("compose.yaml") for where, _ in found) == 4
    assert {where for where, _ in found} >= {"Dockerfile", "README.md", *(unit.name for unit in UNITS)}
    with pytest.raises(Exception, match=r"No such option.*--no-such-flag"):
        parse(["serve", "--no-such-flag"])


def test_compose_file() -> None:
    """It is valid by the Compose Specification, and fits the program."""
    text = (DEPLOY / "compose.yaml").read_text()
    whole = compose()
    # What is merged with `<<`, PyYAML has merged.
    parsed = PyCompose.from_json(json.dumps(whole))
    parsed.validate()
    assert sorted(parsed.service_names()) == [
        *("gateway-1", "gateway-2", "postgres", "proxy", "redis", "worker-1", "worker-2")
    ]
    with pytest.raises(ValueError, match="comand"):
        PyCompose.from_yaml("services: {a: {image: x, comand: y}}")
    (subnet,) = (each["subnet"] for each in whole["networks"]["inner"]["ipam"]["config"])
    for name, service in whole["services"].items():
        if service["image"] != "subcli":
            # A version, and not whatever is the latest.
            assert re.search(r":\d", service["image"])
            continue
        assert set(service["depends_on"]) == {"postgres", "redis"}
        assert float(service["stop_grace_period"].removesuffix("s")) > ServerLimits().deadline_s
        assert service["networks"] == ["inner"]
        assert ("trusted-proxy" in " ".join(service["command"])) == name.startswith("gateway")
        if name.startswith("gateway"):
            assert f"--trusted-proxy={subnet}" in service["command"]
    # Secrets are files, and each is mounted where it is named.
    assert "${" not in text
    for service in whole["services"].values():
        wanted = re.findall(r"/run/secrets/(\w+)", f"{service.get('environment')} {service.get('command')}")
        assert sorted(wanted) == sorted(service.get("secrets", ()))
    assert "secret_key" not in whole["services"]["worker-1"]["secrets"]


def test_requirements_of_the_image() -> None:
    """What the image installs is what the tests ran with, all of it with hashes, and from no host that is named."""
    text = (DEPLOY / "requirements.txt").read_text()
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    versions = {canonical_name(name): version for name, version in pinned.items()}
    found: dict[str, str] = {}
    for entry in text.replace(" \\\n", " ").splitlines():
        what, *hashes = entry.split()
        name, _, version = what.partition("==")
        found[name] = version
        assert hashes, name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), name
    assert {name: versions.get(name) for name in found} == found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["server"], "hatchling"]
    assert {canonical_name(re.split(r"[<>=\[;]", each)[0]) for each in wanted} <= found.keys()


def canonical_name(name: str) -> str:
    """As indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """Those that `compose.yaml` mounts, in a closed directory; another run changes none."""
    shutil.copy(DEPLOY / "make-secrets", tmp_path)
    made = [subprocess.run(["sh", tmp_path / "make-secrets"], capture_output=True, timeout=HANG_S) for _ in range(2)]
    assert [each.returncode for each in made] == [0, 1]
    directory = tmp_path / "secrets"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["make-secrets", "secrets"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    found = {path.name: path.read_text().strip() for path in directory.iterdir()}
    assert {f"secrets/{name}" for name in found} == {each["file"] for each in compose()["secrets"].values()}
    assert len(found["secret_key"]) >= MIN_KEY_BYTES
    assert f":{found['postgres_password']}@" in found["database_url"]
    assert f":{found['redis_conf'].removeprefix('requirepass ')}@" in found["redis_url"]
    assert len(set(found.values())) == 5


def test_dockerfile() -> None:
    """The files that it copies exist, its Python is supported, and nothing runs as root."""
    version = re.fullmatch(r"python:(3\.\d+)-slim-\w+", dockerfile().baseimage)
    assert version is not None
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert tuple(map(int, version[1].split("."))) >= tuple(map(int, wanted.removeprefix(">=").split(".")))
    for instruction, value in steps():
        if instruction == "COPY":
            assert all((ROOT / source).exists() for source in value.split()[:-1]), value
    known = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENV", "VOLUME", "EXPOSE", "STOPSIGNAL"}
    assert {instruction for instruction, _ in steps()} <= known | {"ENTRYPOINT", "CMD"}
    assert [value for instruction, value in steps() if instruction == "USER"] == ["subcli"]


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd-analyze (Debian: systemd) is missing")
@pytest.mark.parametrize(("name", "exposure"), [("subcli-gateway@.service", 10), ("subcli-worker@.service", 30)])
def test_systemd_units(tmp_path: Path, name: str, exposure: int) -> None:
    """systemd reports no problems, and an exposure below the given tenths."""
    assert SYSTEMD_ANALYZE is not None
    unit = tmp_path / name.replace("@", "@8001")
    text = (DEPLOY / name).read_text()
    # It looks whether the program is there.
    unit.write_text(text.replace("/opt/subcli/bin/subcli", "/bin/true"))
    for arguments in (["verify"], ["security", "--offline=true", f"--threshold={exposure}"]):
        done = subprocess.run([SYSTEMD_ANALYZE, *arguments, unit], capture_output=True, text=True, timeout=HANG_S)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
    stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert stop is not None
    assert int(stop[1]) > ServerLimits().deadline_s
    unit.write_text(text.replace("ProtectHome=", "ProtectHom="))
    done = subprocess.run([SYSTEMD_ANALYZE, "verify", unit], capture_output=True, text=True, timeout=HANG_S)
    assert "ProtectHom" in done.stderr


def test_guide_states_the_limits() -> None:
    """The numbers in the guide are the program's defaults."""
    limits = ServerLimits()
    guide = " ".join((DEPLOY / "README.md").read_text().split())
    for said in (
        f"| connections per submission | {limits.connections} | 4029 `retry_after={limits.retry_after_s}` |",
        f"burst of {limits.connects}, then {limits.connects / limits.rate_window_s:g} a second",
        f"burst of {limits.submits}, then {limits.submits / limits.rate_window_s:g} a second",
        f"burst of {limits.reads}, then {limits.reads / limits.rate_window_s:g} a second",
        f"| watch tokens, access tokens and links per user | burst of {limits.watch_tokens}, "
        f"then {limits.watch_tokens / limits.rate_window_s:g} a second |",
        f"| connections of a gateway | {limits.clients}, or its descriptors less 256 |",
        f"| connections per network | {limits.clients_address}, at most half of all; proxies are exempt |",
        f"| time to receive a request's head; its body | {HEAD_TIMEOUT_S:g} s; {BODY_TIMEOUT_S:g} s |",
        f"| time without reading a response | {READ_TIMEOUT_S:g} s |",
        f"burst of {limits.logins}; {limits.logins_address}; {limits.logins_site}, then one every "
        f"{limits.login_window_s / limits.logins:g}; {limits.login_window_s / limits.logins_address:g}; "
        f"{limits.login_window_s / limits.logins_site:g} s",
        f"burst of {limits.logins_account}, then one every {limits.login_window_s / limits.logins_account:g} s "
        f"| a delay of {limits.login_delay_s:g} s |",
        f"| a client without any message | {limits.idle_s / 60:g} min |",
        f"| a client that does not read | {limits.send_s:g} s |",
        f"{limits.closing_per_s:g} a second, or faster if needed to finish within {limits.closing_s:g} s",
    ):
        assert said in guide
    assert [name for name in ADJUSTABLE if f"`{name}`" not in guide] == []
