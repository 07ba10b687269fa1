"""What a version of a problem consists of, so that it can be named by its content, stored and put together elsewhere.

A version is the problem's directory, what lies beside it (but other problems), and the languages. Files are cut into
chunks, which are named by their digests: what two versions share is stored once. The name of a version is a digest of
everything in its manifest, so a manifest cannot be exchanged for another, nor a chunk.

What comes from a store is checked before anything is written: paths stay inside, links lead to places inside and are
made last, so nothing is ever written through one.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

CHUNK_BYTES: Final = 1024 * 1024
VERSION_CHARS: Final = 32
MOST_FILES: Final = 200_000
_LONGEST_PATH: Final = 4096
_MOST_LINKS: Final = 40
"""Through more, Linux leads nowhere (path_resolution(7))."""


class ManifestError(ValueError):
    """A manifest, or what belongs to it, cannot be used. The text is a clause."""


class FileEntry(msgspec.Struct, frozen=True, array_like=True):
    """A file: its path, its size in bytes, whether it is executable, and the digests of its chunks."""

    path: str
    size: int
    executable: bool
    chunks: tuple[str, ...]


class Manifest(msgspec.Struct, frozen=True):
    """What a version consists of. All paths are relative to the directory that has the problem's directory in it.

    Attributes:
        entry: the name of the problem's directory.
        directories: parents before their children.
        links: paths, and where they lead.
    """

    entry: str
    directories: tuple[str, ...] = ()
    files: tuple[FileEntry, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """As JSON. Names that are not UTF-8 have escapes in it."""
        return json.dumps(msgspec.to_builtins(self), separators=(",", ":")).encode()

    @staticmethod
    def decode(data: bytes) -> Manifest:
        """
        Raises:
            ManifestError: it is none.
        """
        try:
            return msgspec.convert(json.loads(data), Manifest)
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"its manifest cannot be read: {error}") from None

    @property
    def version(self) -> str:
        """The name of the version: the same content has the same name."""
        return hashlib.sha256(self.encode()).hexdigest()[:VERSION_CHARS]

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def chunks(self) -> frozenset[str]:
        """The digests of all chunks."""
        return frozenset(chunk for file in self.files for chunk in file.chunks)

    @property
    def complaint(self) -> str:
        """Why it can only be used where it was made, a clause; empty if it can be used elsewhere."""
        links = dict(self.links)
        for path, leads in self.links:
            if not leads or "\0" in leads or not _leads_inside(path, links):
                return f"the link {path} leads out of the directory of problems"
        return ""


def digest_of(chunk: bytes) -> str:
    """The name of a chunk."""
    return hashlib.sha256(chunk).hexdigest()


def describe(root: Path, name: str) -> Manifest:
    """Describe one entry of a directory that nobody changes: a file, a directory with all that is in it, or a link.

    Raises:
        OSError: it cannot be read.
    """
    directories: list[str] = []
    files: list[FileEntry] = []
    links: list[tuple[str, str]] = []
    waiting = [name]
    while waiting:
        path = waiting.pop()
        found = os.lstat(root / path)
        if stat.S_ISLNK(found.st_mode):
            links.append((path, os.readlink(root / path)))
        elif stat.S_ISDIR(found.st_mode):
            directories.append(path)
            waiting += [f"{path}/{each}" for each in os.listdir(root / path)]
        else:
            files.append(_describe_file(root, path, is_executable=bool(found.st_mode & stat.S_IXUSR)))
    return Manifest(name, tuple(sorted(directories)), tuple(sorted(files, key=_path)), tuple(sorted(links)))


def _path(file: FileEntry) -> str:
    return file.path


def _describe_file(root: Path, path: str, *, is_executable: bool) -> FileEntry:
    size, chunks = 0, []
    for chunk in _chunks_of(root / path):
        size += len(chunk)
        chunks.append(digest_of(chunk))
    return FileEntry(path, size, is_executable, tuple(chunks))


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def combine(entry: str, parts: Iterable[Manifest], languages: bytes | None) -> Manifest:
    """The manifest of a version.

    Args:
        entry: the name of the problem's directory.
        parts: of that directory, and of everything beside it.
        languages: the content of its `languages.toml`, if it has one.
    """
    directories: list[str] = []
    files: list[FileEntry] = []
    links: list[tuple[str, str]] = []
    for part in parts:
        directories += part.directories
        files += part.files
        links += part.links
    if languages is not None:
        chunks = (digest_of(languages),) if languages else ()
        files.append(FileEntry("languages.toml", len(languages), executable=False, chunks=chunks))
    return Manifest(entry, tuple(sorted(directories)), tuple(sorted(files, key=_path)), tuple(sorted(links)))


def read_chunks(manifest: Manifest, root: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Read chunks of a version that is at `root`, each once.

    Raises:
        ManifestError: a file is not what the manifest says.
        OSError: a file cannot be read.
    """
    left = set(wanted)
    for file in manifest.files:
        if left.isdisjoint(file.chunks):
            continue
        for name, chunk in zip(file.chunks, _chunks_of(root / file.path), strict=False):
            if name in left:
                if digest_of(chunk) != name:
                    raise ManifestError(f"{file.path} has changed")
                left.discard(name)
                yield name, chunk


def check(manifest: Manifest, version: str, most_bytes: int) -> None:
    """Check a manifest that comes from elsewhere.

    Args:
        version: what it is called.
        most_bytes: the bytes that its files may have together.

    Raises:
        ManifestError: it must not be used.
    """
    if manifest.version != version:
        raise ManifestError("its manifest is not the one that its name says")
    paths = [*manifest.directories, *(file.path for file in manifest.files), *(path for path, _ in manifest.links)]
    if len(paths) > MOST_FILES or len(set(paths)) != len(paths):
        raise ManifestError("it has too many files, or one of them twice")
    if manifest.size > most_bytes or any(file.size < 0 for file in manifest.files):
        raise ManifestError(f"it has {manifest.size} bytes, more than {most_bytes}")
    directories = set(manifest.directories)
    for path in paths:
        parent, _, _ = path.rpartition("/")
        if not _is_safe(path) or (parent and parent not in directories):
            raise ManifestError(f"it has an unsafe path: {path[:200]!r}")
    if "/" in manifest.entry or manifest.entry not in directories:
        raise ManifestError("it has no directory of a problem")
    if manifest.complaint:
        raise ManifestError(manifest.complaint)


def _is_safe(path: str) -> bool:
    parts = path.split("/")
    return len(path) <= _LONGEST_PATH and "\0" not in path and not any(part in ("", ".", "..") for part in parts)


def _leads_inside(path: str, links: Mapping[str, str]) -> bool:
    """Whether a link leads to a place in the same directory, be there something or not, through whatever other links.

    Args:
        path: of the link.
        links: where each of them leads, by its path.
    """
    place: list[str] = []
    left = path.split("/")[::-1]
    followed = 0
    while left:
        part = left.pop()
        if part == "..":
            if not place:
                return False
            place.pop()
        elif part not in ("", "."):
            place.append(part)
            leads = links.get("/".join(place))
            if leads is not None:
                followed += 1
                if os.path.isabs(leads):
                    return False
                if followed > _MOST_LINKS:
                    return True
                place.pop()
                left += leads.split("/")[::-1]
    return True


def put_together(manifest: Manifest, target: Path, read: Callable[[str], bytes]) -> None:
    """Write all files of a manifest that was checked.

    Args:
        target: an empty directory that nobody else writes to.
        read: returns the chunk of this name.

    Raises:
        ManifestError: a chunk is not the right one.
        OSError: something cannot be written.
    """
    for directory in manifest.directories:
        (target / directory).mkdir(mode=0o700)
    for file in manifest.files:
        left = file.size
        with open(target / file.path, "xb") as writer:
            os.fchmod(writer.fileno(), 0o700 if file.executable else 0o600)
            for name in file.chunks:
                chunk = read(name)
                left -= len(chunk)
                if digest_of(chunk) != name or left < 0:
                    raise ManifestError(f"{file.path} is damaged")
                writer.write(chunk)
        if left:
            raise ManifestError(f"{file.path} is not complete")
    for path, leads in manifest.links:
        os.symlink(leads, target / path)
