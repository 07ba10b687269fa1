"""Manifests that come from elsewhere: nothing is written outside, and nothing that they do not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from subcli.judge.manifest import FileEntry, Manifest, ManifestError, check, describe, digest_of, put_together

MANY = 1 << 40


def made(**parts: object) -> Manifest:
    return Manifest(**{"entry": "sum", "directories": ("sum",), **parts})  # type: ignore[arg-type]


def file(path: str, size: int = 0, chunks: tuple[str, ...] = ()) -> FileEntry:
    return FileEntry(path, size, executable=False, chunks=chunks)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x", "sum/../x", "sum//x", "sum/.", "", "sum/a\0b", "elsewhere/x", "sum/x/y", "x" * 5000],
)
def test_unsafe_paths_are_refused(path: str) -> None:
    """Of files, directories and links."""
    for manifest in (
        made(files=(file(path),)),
        made(links=((path, "x"),)),
        made(directories=("sum", path)),
    ):
        with pytest.raises(ManifestError, match="unsafe path"):
            check(manifest, manifest.version, MANY)


@pytest.mark.parametrize("leads", ["/etc", "../..", "../../x", "", "a\0b"])
def test_links_that_lead_out_are_refused(leads: str) -> None:
    """They would show what is on the other machine."""
    manifest = made(links=(("sum/x", leads),))
    with pytest.raises(ManifestError, match="leads out"):
        check(manifest, manifest.version, MANY)


@pytest.mark.parametrize(
    "links",
    [
        # Each of them leads inside, taken alone and as text.
        {"sum/up": "..", "sum/x": "up/../../etc/passwd"},
        {"sum/a/b/up": "../../..", "sum/x": "a/b/up/../../../etc/passwd"},
        {"sum/x": "a/up/../y", "sum/a/up": "other", "sum/a/other": "../.."},
        {"sum/a/b/up": "../../..", "sum/x": "y/../z", "sum/y": "a/b/up"},
    ],
    ids=str,
)
def test_links_that_lead_out_through_others_are_refused(links: dict[str, str]) -> None:
    """What follows a link counts from where that leads."""
    manifest = made(directories=("sum", "sum/a", "sum/a/b"), links=tuple(links.items()))
    with pytest.raises(ManifestError, match=r"the link sum/x leads out"):
        check(manifest, manifest.version, MANY)


@pytest.mark.parametrize(
    "links",
    [
        {"sum/up": "..", "sum/x": "up/sum/a"},
        {"sum/a/b/up": "../../..", "sum/x": "a/b/up/sum/../sum"},
        {"sum/x": "y", "sum/y": "x"},
        {f"sum/{number}": f"{number + 1}/." for number in range(200)},
    ],
    ids=lambda links: str(links)[:60],
)
def test_links_through_others_that_stay_are_kept(links: dict[str, str]) -> None:
    """Also those that lead round and round, which the system does not follow."""
    manifest = made(directories=("sum", "sum/a", "sum/a/b"), links=tuple(links.items()))
    check(manifest, manifest.version, MANY)


@pytest.mark.parametrize("leads", ["y", "../common", "..", "nowhere/at/all", "."])
def test_links_inside_are_kept(leads: str, tmp_path: Path) -> None:
    """Whether there is something or not."""
    manifest = made(links=(("sum/x", leads),))
    check(manifest, manifest.version, MANY)
    put_together(manifest, tmp_path, lambda _: b"")
    assert (tmp_path / "sum" / "x").readlink() == Path(leads)


def test_other_lies_are_refused(tmp_path: Path) -> None:
    """Two entries of one name, no problem, a wrong name, too much, a wrong size."""
    twice = made(files=(file("sum/a"),), links=(("sum/a", "b"),))
    for manifest, complaint in (
        (twice, "twice"),
        (made(entry="other"), "no directory of a problem"),
        (made(entry="sum/x", directories=("sum", "sum/x")), "no directory of a problem"),
        (made(files=(file("sum/a", 11),)), "more than 10"),
        (made(files=(file("sum/a", 11), file("sum/b", -5))), "more than 10"),
    ):
        with pytest.raises(ManifestError, match=complaint):
            check(manifest, manifest.version, 10)
    for size in (2, 4):
        manifest = made(files=(file("sum/a", size, (digest_of(b"abc"),)),))
        (tmp_path / str(size)).mkdir()
        with pytest.raises(ManifestError, match=r"damaged|not complete"):
            put_together(manifest, tmp_path / str(size), lambda _: b"abc")


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"entry": 3}', b'{"entry": "a", "files": [[1]]}', b"[" * 10_000])
def test_unreadable_manifests(data: bytes) -> None:
    """One error for all of them."""
    with pytest.raises(ManifestError, match="cannot be read"):
        Manifest.decode(data)


def test_names_that_are_not_text(tmp_path: Path) -> None:
    """A name that is not UTF-8 survives."""
    (tmp_path / "sum").mkdir()
    (tmp_path / "sum" / "a\udcff").write_text("x")
    manifest = describe(tmp_path, "sum")
    assert Manifest.decode(manifest.encode()) == manifest
    assert [each.path for each in manifest.files] == ["sum/a\udcff"]
