"""Versions of problems in the database."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from subcli.judge.manifest import Manifest, ManifestError, describe, put_together
from subcli.server.log.records import NewSubmission, VersionMissingError
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER

pytestmark = pytest.mark.every_backend
NEW = NewSubmission(DEMO_USER, "sum", "python", {"a.py": ""})


class Clock:
    """Unix time that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> Iterator[Store]:
    store = Store(engine, clock)
    yield store
    store.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with a problem of several chunks."""
    root = tmp_path / "version"
    (root / "sum").mkdir(parents=True)
    (root / "sum" / "a").write_text("a")
    (root / "sum" / "large").write_bytes(os.urandom(5 << 19))
    return root


def put(store: Store, root: Path) -> Manifest:
    manifest = describe(root, "sum")
    store.packages.put("sum", 7, manifest, root)
    return manifest


def chunks(sql: Callable[[str], Any]) -> int:
    return int(sql("SELECT count(*) FROM problem_chunks")[0][0])


def test_stored_version_is_read(store: Store, root: Path, tmp_path: Path, sql: Callable[[str], Any]) -> None:
    """As it was. What two versions share is stored once, and each version once."""
    manifest = put(store, root)
    assert chunks(sql) == 4
    (root / "sum" / "a").write_text("b")
    other = put(store, root)
    assert put(store, root) == other
    assert chunks(sql) == 5
    read = store.packages.manifest(other.version)
    assert (read, store.packages.manifest(manifest.version)) == (other, manifest)
    (tmp_path / "copy").mkdir()
    put_together(read, tmp_path / "copy", store.packages.chunk)
    for name in ("a", "large"):
        assert (tmp_path / "copy" / "sum" / name).read_bytes() == (root / "sum" / name).read_bytes()
    assert (store.packages.slug(7), store.packages.slug(8)) == ("sum", None)


def test_version_that_is_not_stored(store: Store, root: Path, sql: Callable[[str], Any]) -> None:
    """Nobody submits to it, nor is it read; neither is one that is not complete, until somebody stores the rest."""
    manifest = describe(root, "sum")
    with pytest.raises(ManifestError, match="not in the database"):
        store.packages.manifest(manifest.version)
    with pytest.raises(ManifestError, match="not in the database"):
        store.packages.chunk("0" * 64)
    (root / "sum" / "a").rename(root / "sum" / "moved")
    with pytest.raises(OSError, match="sum/a"):
        store.packages.put("sum", 7, manifest, root)
    with pytest.raises(VersionMissingError):
        store.create(replace(NEW, problem_version=manifest.version))
    (root / "sum" / "moved").rename(root / "sum" / "a")
    store.packages.put("sum", 7, manifest, root)
    created, _ = store.create(replace(NEW, problem_version=manifest.version))
    assert created.problem_version == manifest.version
    sql("UPDATE problem_chunks SET data = substr(data, 1, 3)")
    with pytest.raises(ManifestError, match="damaged"):
        store.packages.chunk(next(iter(manifest.chunks)))


def test_files_that_have_changed_are_not_stored(store: Store, root: Path) -> None:
    """They would be another version."""
    manifest = describe(root, "sum")
    (root / "sum" / "a").write_text("b")
    with pytest.raises(ManifestError, match="sum/a has changed"):
        store.packages.put("sum", 7, manifest, root)


def test_versions_of_waiting_submissions_are_wanted(store: Store, root: Path) -> None:
    """Until they have their verdict."""
    version = put(store, root).version
    assert store.packages.wanted() == []
    created, _ = store.create(replace(NEW, problem_version=version))
    store.create(NEW)
    assert [each.version for each in store.packages.wanted()] == [version]
    store.cancel(created.id, DEMO_USER)
    assert store.packages.wanted() == []


def test_worker_claims_only_what_it_has_the_version_of(store: Store, root: Path) -> None:
    """A submission without a version is for every worker that has the problem."""
    version = put(store, root).version
    bound, _ = store.create(replace(NEW, problem_version=version))
    free, _ = store.create(NEW)
    plain, named = {"sum": ["python"]}, {f"sum@{version}": ["python"]}
    assert store.leases.claimable(9, "", plain) == [free.id]
    assert store.leases.claimable(9, "", named) == [bound.id]
    assert store.leases.claimable(9, "", {"sum": ["python"], "sum@0": ["python"], **named}) == [bound.id, free.id]
    assert store.leases.claimable(9, "", {f"sum@{version}": ["ruby"], **plain}) == [free.id]
    claim = store.leases.claim_next("worker", named, 60)
    assert claim is not None
    assert (claim.submission_id, claim.problem_version) == (bound.id, version)


def test_versions_that_nobody_refers_to_are_deleted(
    store: Store, root: Path, clock: Clock, sql: Callable[[str], Any]
) -> None:
    """Some time after they were stored, with the chunks that no other version has."""
    used = put(store, root).version
    created, _ = store.create(replace(NEW, problem_version=used))
    store.cancel(created.id, DEMO_USER)
    (root / "sum" / "a").write_text("b")
    unused = put(store, root).version
    assert store.packages.delete_unused(60) == 0
    clock.now += 60
    assert store.packages.delete_unused(60) == 1
    assert chunks(sql) == 4
    store.packages.manifest(used)
    with pytest.raises(VersionMissingError):
        store.create(replace(NEW, problem_version=unused))
    put(store, root)
    store.create(replace(NEW, problem_version=unused))


@pytest.mark.thorough
def test_storing_and_deleting_at_once(store: Store, root: Path, clock: Clock) -> None:
    """What is stored is complete, whoever deletes meanwhile."""
    clock.now = 0.0
    put(store, root)
    clock.now = 1000.0
    (root / "sum" / "a").write_text("b")
    stop = threading.Event()

    def delete() -> None:
        while not stop.is_set():
            store.packages.delete_unused(60)

    thread = threading.Thread(target=delete)
    thread.start()
    try:
        manifest = put(store, root)
    finally:
        stop.set()
        thread.join()
    assert manifest.chunks
    for chunk in manifest.chunks:
        store.packages.chunk(chunk)
