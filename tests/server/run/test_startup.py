"""What processes need before they are ready."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.groups import usable_cores
from subcli.server import Authentication, ServeError, ServerSettings
from subcli.server.run.serve import run
from subcli.server.run.startup import accepted_key, copied_problems, prepare_judge, signing_key
from subcli.shared.secret import Secret
from tests.hang import HANG_S


def test_signing_key_is_created_once(tmp_path: Path) -> None:
    """The first start creates at least 32 bytes in a file of mode 0600 and nothing else; later starts read it."""
    key = signing_key(tmp_path, None)
    assert len(key) >= 32
    assert signing_key(tmp_path, None) == key
    [path] = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.decode() in path.read_text()


def test_another_key_is_accepted(tmp_path: Path) -> None:
    """The operator's, or the old one that was moved aside; none is made, and one that others can read is refused."""
    assert accepted_key(tmp_path, None) is None
    assert accepted_key(tmp_path, Secret("k" * 32)) == b"k" * 32
    old = signing_key(tmp_path, None)
    (tmp_path / "signing.key").rename(tmp_path / "accepted.key")
    assert accepted_key(tmp_path, None) == old
    assert signing_key(tmp_path, None) != old
    with pytest.raises(ServeError, match="SUBCLI_ACCEPTED_KEY has 5 bytes"):
        accepted_key(tmp_path, Secret("short"))
    (tmp_path / "accepted.key").chmod(0o644)
    with pytest.raises(ServeError, match="readable by others"):
        accepted_key(tmp_path, None)
    (tmp_path / "accepted.key").unlink()
    (tmp_path / "accepted.key").mkdir(mode=0o700)
    with pytest.raises(ServeError, match="Cannot read the key"):
        accepted_key(tmp_path, None)


@pytest.mark.thorough
def test_parallel_starts_share_one_key(tmp_path: Path) -> None:
    """Four processes that start without a key end up with the same one."""
    program = (
        "import sys; from pathlib import Path; from subcli.server.run.startup import signing_key; print(flush=True);"
        "sys.stdin.read(); print(signing_key(Path(sys.argv[1]), None).decode())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    keys = {process.communicate(timeout=HANG_S)[0].strip() for process in processes}
    assert len(keys) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_group_readable_key_is_refused(tmp_path: Path) -> None:
    """It is refused, with the command that fixes it."""
    signing_key(tmp_path, None)
    [path] = tmp_path.iterdir()
    path.chmod(0o640)
    with pytest.raises(ServeError) as error:
        signing_key(tmp_path, None)
    assert "chmod 600" in error.value.hint


@pytest.mark.parametrize("content", ["", "kurz", "x" * 31], ids=["empty", "four bytes", "one missing"])
def test_short_key_is_refused(tmp_path: Path, content: str) -> None:
    """Fewer than 32 bytes, from the file or the operator, are refused without showing them."""
    path = tmp_path / "signing.key"
    path.write_text(content + "\n")
    path.chmod(0o600)
    for given in (None, Secret(content)):
        with pytest.raises(ServeError) as error:
            signing_key(tmp_path, given)
        assert not content or content not in str(error.value)
    with pytest.raises(ServeError):
        run(ServerSettings(tmp_path, port=0, authentication=Authentication(Secret(content))), on_ready=print)


def test_unreadable_key_is_refused(tmp_path: Path) -> None:
    """A directory in its place, or a missing data directory."""
    (tmp_path / "signing.key").mkdir(0o700)
    for directory in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ServeError):
            signing_key(directory, None)


def test_operators_key_is_used(tmp_path: Path) -> None:
    """The operator's key is used, and no file is created."""
    assert signing_key(tmp_path, Secret("k" * 32)) == b"k" * 32
    assert list(tmp_path.iterdir()) == []


def test_more_judgings_than_cores_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As many as there are cores are right."""
    cores = usable_cores()
    for concurrency in (cores, cores + 1):
        settings = ServerSettings(tmp_path, concurrency=concurrency, sandbox=Sandbox.NONE)
        service, _ = prepare_judge(settings, {}, None, for_others=False, data_dir=tmp_path)
        assert service is not None
        assert service.concurrency == concurrency
    assert caplog.text.count("more than") == 1
    assert f"--concurrency {cores + 1} is more than the {cores} core" in caplog.text


def test_a_gateway_without_workers_judges_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no sandbox and no compilers, and does not complain that they are not there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = ServerSettings(tmp_path, concurrency=0)
    with copied_problems(None, tmp_path) as snapshot:
        prepared = prepare_judge(settings, snapshot.problems, None, for_others=True, data_dir=tmp_path)
    assert prepared == (None, ("judged by workers elsewhere",))
    assert caplog.text == ""


def test_problems_that_cannot_be_copied(tmp_path: Path) -> None:
    """One sentence names the place, and a hint says what to do."""
    with pytest.raises(ServeError) as error, copied_problems(None, tmp_path / "missing"):
        pass
    assert error.value.message == f"Cannot copy the problems to {tmp_path}/missing: No such file or directory."
    assert "--data-dir" in error.value.hint


def test_what_is_not_in_the_copy_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The operator reads what may change while the server runs, and that an earlier server was killed."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "link").symlink_to("/")
    with copied_problems(None, tmp_path) as snapshot:
        killed = tmp_path / "killed"
        shutil.copytree(snapshot.path, killed)
    killed.rename(snapshot.path)
    with copied_problems(tmp_path / "mine", tmp_path):
        pass
    assert f"of the problems, {tmp_path}/mine/link leads out of {tmp_path}/mine: / is not copied" in caplog.text
    assert f"directories of killed processes removed from {tmp_path}: 1" in caplog.text
