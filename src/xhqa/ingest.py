"""Files → the index that holds them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from xhqa.config import Settings
from xhqa.encode import Encoder
from xhqa.errors import InputError
from xhqa.index import Change, Entry, Held, Index, Progress, corpus_of
from xhqa.load import files, read
from xhqa.types import Document

# A file that was read, or why it was not.
Loaded = tuple[Path, Document | InputError]


def load_files(files: Sequence[tuple[Path, str]], held: frozenset[str]) -> Iterator[Loaded]:
    """The documents of ``files``, given as path and source name, one after the other. ``held``: the
    sha256s of what the index has."""
    for path, source_name in files:
        try:
            yield path, read(path, source_name)
        except InputError as error:
            yield path, error


def build_index(
    paths: Sequence[Path],
    encoder: Encoder,
    settings: Settings,
    progress: Progress = lambda stage, done, total: None,
    loader: Callable[[Sequence[tuple[Path, str]], frozenset[str]], Iterator[Loaded]] = load_files,
) -> tuple[Index, list[str]]:
    """Make the index hold the files under ``paths``, as ``loader`` reads them, and what was
    uploaded.

    Returns the index and the messages of the files that were refused. Raises InputError where a
    path does not exist or no file could be read.
    """
    given: dict[Path, tuple[Path, str]] = {}
    for path, name in files(list(paths)):
        given.setdefault(path.resolve(), (path, name))
    found = list(given.values())
    refused: list[str] = []

    def entries(held: Mapping[str, Held]) -> Iterator[Entry]:
        ids: set[str] = set()
        known = frozenset(one.sha256 for one in held.values())
        for path, document in loader(found, known):
            if isinstance(document, InputError):
                refused.append(str(document))
                continue
            there = held.get(document.id)
            other = there and there.uploaded and not _same(there, document)
            if document.id in ids or other:
                # Names that differ only in what an id leaves out, or in their folder; what was
                # uploaded stays, though it has the very name.
                digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
                document = replace(document, id=f"{document.id}-{digest}")
            ids.add(document.id)
            yield Entry(document)
        if not ids:
            names = ", ".join(map(str, paths))
            raise InputError("; ".join(refused) or f"no document in {names}")

    def change(held: Mapping[str, Held]) -> Change:
        return Change(entries(held), keep=lambda one: one.uploaded, expected=len(found))

    index = corpus_of(settings).change(change, encoder, progress, over_damage=True)
    return index, refused


def _same(held: Held, document: Document) -> bool:
    """Whether a file is what was uploaded, in name and content."""
    return (held.source_name, held.sha256) == (document.source_name, document.sha256)
