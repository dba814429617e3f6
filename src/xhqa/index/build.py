"""Writing a generation and making it the current one."""

from __future__ import annotations

import array
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xhqa.background import QUESTIONS
from xhqa.encode import Encoder
from xhqa.errors import BusyError, IndexDamagedError, InputError
from xhqa.index.cache import EmbeddingCache
from xhqa.index.generation import (
    CHUNK,
    FORMAT,
    Entry,
    Index,
    chunk_of,
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
from xhqa.types import Chunk

MAX_CHUNK_TOKENS = 256
_BATCH = 32
# Chunks that are read back and sorted by length together.
_WINDOW = 4096

_SCHEMA = """
CREATE TABLE documents (
    position INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, title TEXT NOT NULL,
    source_name TEXT NOT NULL, sha256 TEXT NOT NULL, media_type TEXT NOT NULL,
    uploaded INTEGER NOT NULL, text TEXT NOT NULL, headings TEXT NOT NULL, pages TEXT NOT NULL);
CREATE TABLE chunks (
    position INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, document_id TEXT NOT NULL,
    section_path TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, text TEXT NOT NULL,
    origin BLOB NOT NULL, sentences TEXT NOT NULL, tokens TEXT NOT NULL);
CREATE TABLE sentence_vectors (position INTEGER PRIMARY KEY, vectors BLOB NOT NULL);
CREATE INDEX chunks_document ON chunks (document_id);
"""

Progress = Callable[[str, int, int], None]


def _silent(stage: str, done: int, total: int) -> None:
    return None


def embedding_text(title: str, chunk: Chunk) -> str:
    """What the encoder gets of a chunk: document title and heading path, then the text."""
    heading = " / ".join(dict.fromkeys(part for part in (title, *chunk.section_path)))
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
    documents keep their chunks and, under the same encoder, their vectors; what an interrupted
    build had embedded is not embedded again. ``progress`` is told stage, number done and total.
    Raises BusyError where another process is building, and IndexDamagedError where the current
    index's documents cannot be read, unless ``over_damage`` allows to start from none.
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
        _clear(generations)
        held, old = _held(index_dir, encoder, over_damage)
        entries = change(held)
        _refuse_duplicates(entries)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=generations))
        cache = EmbeddingCache(index_dir / "embeddings.sqlite", encoder)
        with closing(cache):
            manifest_sha256 = _write_generation(work, entries, old, encoder, cache, progress)
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{manifest_sha256[:8]}"
        progress("switch", 0, 2)
        os.replace(work, generations / name)
        _sync(generations)
        progress("switch", 1, 2)
        before = _current_name(index_dir)
        _swap(index_dir, name, manifest_sha256)
        cache.remove()
        # The one before stays until the next build: somebody may be opening it.
        for folder in generations.iterdir():
            if folder.name not in (name, before):
                shutil.rmtree(folder, ignore_errors=True)
        progress("switch", 2, 2)
        return open_index(index_dir, encoder)
    finally:
        # Where it failed for want of room, what it wrote must not go on taking it.
        _clear(generations)
        lock.release()


def _clear(generations: Path) -> None:
    for leftover in generations.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)


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
    cache: EmbeddingCache,
    progress: Progress,
) -> str:
    """Write all files of a generation into ``work``; return the sha256 of its manifest.

    Chunks go to the database as they are split and are read back from there, so that memory does
    not grow with them.
    """
    with closing(sqlite3.connect(work / "documents.sqlite")) as database:
        # What is half written is thrown away, and what is done is synced with all other files.
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        kept = _write_chunks(database, entries, old, encoder, progress)
        ((count,),) = database.execute("SELECT count(*) FROM chunks")
        vectors = create(work, count, encoder.dimension)
        if old:
            for at in range(0, len(kept), _WINDOW):
                now, before = np.array(kept[at : at + _WINDOW], np.int64).T
                vectors[now] = old.store.vectors(before)
        missing = np.setdiff1d(np.arange(count), np.array([n for n, _ in kept], np.int64))
        _embed(database, missing, vectors, encoder, cache, progress)
        progress("write", 0, 3)
        database.commit()
        finish(work, vectors)
        progress("write", 1, 3)
        tokens = database.execute("SELECT tokens FROM chunks ORDER BY position")
        LexicalIndex.build(json.loads(row) for (row,) in tokens).save(work / "lexical")
    progress("write", 2, 3)
    means = [encoder.encode_queries(questions).mean(axis=0) for questions in QUESTIONS.values()]
    np.save(work / "question_means.npy", np.stack(means), allow_pickle=False)
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
        "chunks": count,
        "vectors": kind(work),
        "files": {p.relative_to(work).as_posix(): sha256_of(p) for p in files},
    }
    (work / "manifest.json").write_text(json.dumps(manifest, indent=2), "utf-8")
    work.chmod(0o755)
    for path in [*files, work / "manifest.json", work / "lexical", work]:
        _sync(path)
    return str(sha256_of(work / "manifest.json"))


def _write_chunks(
    database: sqlite3.Connection,
    entries: Sequence[Entry],
    old: Index | None,
    encoder: Encoder,
    progress: Progress,
) -> list[tuple[int, int]]:
    """Write the documents and their chunks; return the positions, now and in ``old``, of those
    that are kept with their vectors."""
    # Room for the prompt and the heading path, which go with a chunk.
    longest = min(MAX_CHUNK_TOKENS, max(encoder.max_tokens // 2, encoder.max_tokens - 64))
    kept: list[tuple[int, int]] = []
    position = 0
    for number, entry in enumerate(entries):
        progress("split", number, len(entries))
        document = entry.document
        _write_document(database, number, entry)
        chunks, tokens, before = old.reusable(document) if old else ([], [], [])
        if old and chunks:
            kept += zip(range(position, position + len(chunks)), before, strict=True)
            for offset, chunk in enumerate(chunks):
                stored = _half(old.sentence_vectors(chunk))
                database.execute(_SENTENCES, (position + offset, stored))
        else:
            chunks = split(document, repair(document), encoder.count_tokens, longest)
            tokens = [tokenize(embedding_text(document.title, chunk)) for chunk in chunks]
        database.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    at,
                    chunk.id,
                    chunk.document_id,
                    json.dumps(chunk.section_path, ensure_ascii=False),
                    chunk.start,
                    chunk.end,
                    chunk.text,
                    array.array("i", chunk.view.origin).tobytes(),
                    json.dumps(chunk.sentences),
                    json.dumps(row, ensure_ascii=False),
                )
                for at, (chunk, row) in enumerate(zip(chunks, tokens, strict=True), position)
            ),
        )
        position += len(chunks)
    progress("split", len(entries), len(entries))
    return kept


_SENTENCES = "INSERT INTO sentence_vectors VALUES (?, ?)"


def _half(vectors: Vectors) -> bytes:
    return vectors.astype(np.float16).tobytes()


def _write_document(database: sqlite3.Connection, number: int, entry: Entry) -> None:
    document = entry.document
    database.execute(
        "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            document.id,
            document.title,
            document.source_name,
            document.sha256,
            document.media_type,
            int(entry.uploaded),
            document.text,
            json.dumps([(h.start, h.end, h.level) for h in document.headings]),
            json.dumps(document.pages),
        ),
    )


def _embed(
    database: sqlite3.Connection,
    missing: npt.NDArray[np.int64],
    vectors: Vectors,
    encoder: Encoder,
    cache: EmbeddingCache,
    progress: Progress,
) -> None:
    """Fill in the vectors of the chunks at the positions ``missing``, ascending."""
    done = 0
    for at in range(0, len(missing), _WINDOW):
        window = missing[at : at + _WINDOW]
        wanted = set(window.tolist())
        rows = database.execute(
            f"SELECT c.position, d.title, {CHUNK} FROM chunks c JOIN documents d"
            " ON d.id = c.document_id WHERE c.position BETWEEN ? AND ? ORDER BY c.position",
            (int(window[0]), int(window[-1])),
        )
        unknown: list[tuple[int, str, list[tuple[int, int]]]] = []
        for position, title, *row in rows:
            if position not in wanted:
                continue
            chunk = chunk_of(tuple(row))
            text = embedding_text(title, chunk)
            parts = _sentences_in(text, chunk)
            if known := cache.get(text, parts):
                vectors[position], stored = known
                database.execute(_SENTENCES, (position, stored))
                done += 1
            else:
                unknown.append((position, text, parts))
        # Longest first: batches of one length.
        unknown.sort(key=lambda one: -len(one[1]))
        for start in range(0, len(unknown), _BATCH):
            progress("embed", done, len(missing))
            positions, texts, ranges = zip(*unknown[start : start + _BATCH], strict=True)
            encoded, sentences = encoder.encode_parts(texts, ranges)
            halves = [_half(rows) for rows in sentences]
            cache.put(texts, ranges, encoded, halves)
            vectors[list(positions)] = encoded
            database.executemany(_SENTENCES, zip(positions, halves, strict=True))
            done += len(positions)
    progress("embed", len(missing), len(missing))


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
