"""Writing a generation and making it the current one."""

from __future__ import annotations

import array
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from xhqa.background import QUESTIONS
from xhqa.encode import Encoder
from xhqa.errors import BusyError, IndexDamagedError, InputError
from xhqa.index.generation import (
    FORMAT,
    Entry,
    Index,
    connect,
    current_generation,
    entries_of,
    exists,
    open_index,
    sha256_of,
    verify,
)
from xhqa.lexical import LexicalIndex, tokenize
from xhqa.load import repair
from xhqa.split import split
from xhqa.store import Vectors, create, finish, kind
from xhqa.types import Chunk, Document

MAX_CHUNK_TOKENS = 256
_BATCH = 32

_SCHEMA = """
CREATE TABLE documents (
    position INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, title TEXT NOT NULL,
    source_name TEXT NOT NULL, sha256 TEXT NOT NULL, media_type TEXT NOT NULL,
    uploaded INTEGER NOT NULL, text TEXT NOT NULL, headings TEXT NOT NULL, pages TEXT NOT NULL);
CREATE TABLE chunks (
    position INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, document_id TEXT NOT NULL,
    section_path TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, text TEXT NOT NULL,
    origin BLOB NOT NULL, sentences TEXT NOT NULL, sentence_vectors BLOB NOT NULL,
    tokens TEXT NOT NULL);
CREATE INDEX chunks_document ON chunks (document_id);
"""

Progress = Callable[[str, int, int], None]


def _silent(stage: str, done: int, total: int) -> None:
    return None


def embedding_text(document: Document, chunk: Chunk) -> str:
    """What the encoder gets of a chunk: title and heading path, then the text."""
    heading = " / ".join(dict.fromkeys(part for part in (document.title, *chunk.section_path)))
    return f"{heading}\n{chunk.text}" if heading else chunk.text


def _sentences_in(text: str, chunk: Chunk) -> list[tuple[int, int]]:
    """Where the chunk's sentences stand in its embedding text."""
    before = len(text) - len(chunk.text)
    return [(before + start, before + end) for start, end in chunk.sentences]


def build(
    index_dir: Path,
    change: Callable[[list[Entry]], list[Entry]],
    encoder: Encoder,
    progress: Progress = _silent,
    *,
    over_damage: bool = False,
) -> Index:
    """Write a new generation and make it the current one.

    ``change`` gets the entries of the current index and returns those of the new one. Unchanged
    documents keep their chunks and, under the same encoder, their vectors. ``progress`` is told
    stage, number done and total. Raises BusyError where another process is building, and
    IndexDamagedError where the current index's documents cannot be read, unless ``over_damage``
    allows to start from none.
    """
    from filelock import FileLock, Timeout

    generations = index_dir / "generations"
    generations.mkdir(parents=True, exist_ok=True)
    lock = FileLock(index_dir / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BusyError(
            f"another process is writing {index_dir}: try again when it is done"
        ) from error
    try:
        for leftover in generations.glob(".building-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        held, old = _held(index_dir, encoder, over_damage)
        entries = change(held)
        _refuse_duplicates(entries)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=generations))
        manifest_sha256 = _write_generation(work, entries, old, encoder, progress)
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{manifest_sha256[:8]}"
        progress("switch", 0, 2)
        os.replace(work, generations / name)
        _sync(generations)
        progress("switch", 1, 2)
        before = _current_name(index_dir)
        _swap(index_dir, name, manifest_sha256)
        # The one before stays until the next build: somebody may be opening it.
        for folder in generations.iterdir():
            if folder.name not in (name, before):
                shutil.rmtree(folder, ignore_errors=True)
        progress("switch", 2, 2)
        return open_index(index_dir, encoder)
    finally:
        lock.release()


def _held(index_dir: Path, encoder: Encoder, over_damage: bool) -> tuple[list[Entry], Index | None]:
    """The current entries, and the index if its vectors can be used again."""
    if not exists(index_dir):
        return [], None
    try:
        index = open_index(index_dir, encoder)
        return index.entries(), index
    except IndexDamagedError:
        try:
            folder, manifest = current_generation(index_dir)
            verify(folder, manifest, "documents.sqlite")
        except IndexDamagedError:
            if over_damage:
                return [], None
            raise
        with closing(connect(folder)) as database:
            return entries_of(database), None


def _current_name(index_dir: Path) -> str | None:
    """The name in CURRENT, whether or not it can be opened."""
    try:
        return str(json.loads((index_dir / "CURRENT").read_text("utf-8"))["generation"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _refuse_duplicates(entries: Sequence[Entry]) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        document = entry.document
        if document.id in seen:
            raise InputError(
                f"{seen[document.id]} and {document.source_name} would both be document "
                f"{document.id!r}: rename one"
            )
        seen[document.id] = document.source_name


def _write_generation(
    work: Path,
    entries: Sequence[Entry],
    old: Index | None,
    encoder: Encoder,
    progress: Progress,
) -> str:
    """Write all files of a generation into ``work``; return the sha256 of its manifest."""
    chunks: list[Chunk] = []
    tokens: list[list[str]] = []
    texts: list[str] = []
    vectors: dict[int, Vectors] = {}
    sentences: dict[int, Vectors] = {}
    # Room for the prompt and the heading path, which go with a chunk.
    longest = min(MAX_CHUNK_TOKENS, max(encoder.max_tokens // 2, encoder.max_tokens - 64))
    for number, entry in enumerate(entries):
        progress("split", number, len(entries))
        document = entry.document
        kept, kept_tokens, positions = old.reusable(document) if old else ([], [], [])
        if old and kept:
            for offset, vector in enumerate(old.store.vectors(positions)):
                vectors[len(chunks) + offset] = vector
                sentences[len(chunks) + offset] = old.sentence_vectors(kept[offset])
        else:
            kept = split(document, repair(document), encoder.count_tokens, longest)
            kept_tokens = [tokenize(embedding_text(document, chunk)) for chunk in kept]
        chunks += kept
        tokens += kept_tokens
        texts += [embedding_text(document, chunk) for chunk in kept]
    progress("split", len(entries), len(entries))

    # Longest first: batches of one length, and the slowest (and most memory) at the start.
    missing = sorted(
        (n for n in range(len(chunks)) if n not in vectors), key=lambda n: -len(texts[n])
    )
    for at in range(0, len(missing), _BATCH):
        progress("embed", at, len(missing))
        batch = missing[at : at + _BATCH]
        encoded, parts = encoder.encode_parts(
            [texts[n] for n in batch], [_sentences_in(texts[n], chunks[n]) for n in batch]
        )
        vectors.update(zip(batch, encoded, strict=True))
        sentences.update(zip(batch, parts, strict=True))
    progress("embed", len(missing), len(missing))

    progress("write", 0, 3)
    stored = create(work, len(chunks), encoder.dimension)
    for number in range(len(chunks)):
        stored[number] = vectors[number]
    finish(work, stored)
    progress("write", 1, 3)
    LexicalIndex.build(tokens).save(work / "lexical")
    progress("write", 2, 3)
    means = [encoder.encode_queries(questions).mean(axis=0) for questions in QUESTIONS.values()]
    np.save(work / "question_means.npy", np.stack(means), allow_pickle=False)
    _write_database(work / "documents.sqlite", entries, chunks, sentences, tokens)
    progress("write", 3, 3)

    files = sorted(p for p in work.rglob("*") if p.is_file())
    manifest = {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "encoder": {
            "name": encoder.name,
            "fingerprint": encoder.fingerprint,
            "dimension": encoder.dimension,
        },
        "documents": len(entries),
        "chunks": len(chunks),
        "vectors": kind(work),
        "files": {p.relative_to(work).as_posix(): sha256_of(p) for p in files},
    }
    (work / "manifest.json").write_text(json.dumps(manifest, indent=2), "utf-8")
    work.chmod(0o755)
    for path in [*files, work / "manifest.json", work / "lexical", work]:
        _sync(path)
    return str(sha256_of(work / "manifest.json"))


def _write_database(
    path: Path,
    entries: Sequence[Entry],
    chunks: Sequence[Chunk],
    sentences: Mapping[int, Vectors],
    tokens: Sequence[Sequence[str]],
) -> None:
    database = sqlite3.connect(path)
    try:
        database.executescript(_SCHEMA)
        database.executemany(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    number,
                    e.document.id,
                    e.document.title,
                    e.document.source_name,
                    e.document.sha256,
                    e.document.media_type,
                    int(e.uploaded),
                    e.document.text,
                    json.dumps([(h.start, h.end, h.level) for h in e.document.headings]),
                    json.dumps(e.document.pages),
                )
                for number, e in enumerate(entries)
            ),
        )
        database.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    number,
                    chunk.id,
                    chunk.document_id,
                    json.dumps(chunk.section_path, ensure_ascii=False),
                    chunk.start,
                    chunk.end,
                    chunk.text,
                    array.array("i", chunk.view.origin).tobytes(),
                    json.dumps(chunk.sentences),
                    sentences[number].astype(np.float16).tobytes(),
                    json.dumps(row, ensure_ascii=False),
                )
                for number, (chunk, row) in enumerate(zip(chunks, tokens, strict=True))
            ),
        )
        database.commit()
    finally:
        database.close()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap(index_dir: Path, name: str, manifest_sha256: str) -> None:
    pointer = index_dir / "CURRENT"
    fresh = index_dir / "CURRENT.new"
    fresh.write_text(
        json.dumps({"generation": name, "manifest_sha256": manifest_sha256}) + "\n", "utf-8"
    )
    _sync(fresh)
    os.replace(fresh, pointer)
    _sync(index_dir)
