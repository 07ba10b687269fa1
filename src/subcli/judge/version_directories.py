"""The directories of versions: each is made as a draft, takes its place once it is complete, and never changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from subcli.judge.languages.table import FILE_NAME as LANGUAGES_FILE
from subcli.judge.manifest import Manifest, put_together
from subcli.judge.process.removal import remove_tree


class VersionDirectories:
    """The directories of versions, by their names.

    Args:
        base: where they are; does not exist yet.

    Raises:
        OSError: it cannot be written to.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._base.mkdir(mode=0o700)

    def place(self, version: str) -> Path:
        """The directory of a version, be it there or not."""
        return self._base / version

    def link(self, version: str, manifest: Manifest, copies: Path, languages: bytes | None) -> None:
        """Make the directory of a version, unless it is there: files get a second name, and are not copied.

        Args:
            version: its name.
            manifest: what it consists of.
            copies: the directory with copies of its files.
            languages: the content of its `languages.toml`, if it has one.

        Raises:
            OSError: it cannot be written.
        """
        if self.place(version).exists():
            return
        with self._draft(version) as draft:
            for directory in manifest.directories:
                (draft / directory).mkdir(mode=0o700)
            for file in manifest.files:
                if file.path != LANGUAGES_FILE:
                    _link_or_copy(copies / file.path, draft / file.path)
            for path, leads in manifest.links:
                os.symlink(leads, draft / path)
            if languages is not None:
                (draft / LANGUAGES_FILE).write_bytes(languages)

    def write(self, version: str, manifest: Manifest, read: Callable[[str], bytes]) -> None:
        """Make the directory of a version from elsewhere, unless it is there.

        Args:
            version: its name.
            manifest: what it consists of; it was checked.
            read: returns the chunk of this name.

        Raises:
            ManifestError: a chunk is not the right one.
            OSError: it cannot be written.
        """
        if not self.place(version).exists():
            with self._draft(version) as draft:
                put_together(manifest, draft, read)

    def remove(self, version: str) -> None:
        """Remove the directory of a version."""
        remove_tree(self.place(version))

    @contextmanager
    def _draft(self, version: str) -> Iterator[Path]:
        """An empty directory that becomes that of a version at the end."""
        draft = self._base / f".{version}"
        if draft.exists():
            remove_tree(draft)
        draft.mkdir(mode=0o700)
        try:
            yield draft
            draft.rename(self.place(version))
        except BaseException:
            remove_tree(draft)
            raise


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; where the file system knows none, or no more, copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
