"""The index on disk: immutable generations behind one pointer that is swapped atomically.

    index/CURRENT                     {"generation": name, "manifest_sha256": …}
    index/generations/<name>/         manifest.json, documents.sqlite, vectors.faiss, lexical/,
                                      question_means.npy

A build writes a new generation beside the others, syncs it to disk and then replaces CURRENT, so
a reader sees the old index or the new one and nothing between. Documents live inside the
generation, in one SQLite file: what is cited and what is searched can then never differ.
"""

from __future__ import annotations

import array
import hashlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xhqa.background import QUESTIONS
from xhqa.encode import Encoder
from xhqa.errors import BusyError, IndexDamagedError, NotFoundError, XhqaError
from xhqa.lexical import LexicalIndex, tokenize
from xhqa.load import repair
from xhqa.split import split
from xhqa.store import FaissStore, VectorStore
from xhqa.types import Chunk, Document, DocumentInfo, View

# Raised whenever what is written, or how text is repaired, split or tokenized, changes.
FORMAT = 1
MAX_CHUNK_TOKENS = 256

_REBUILD = "run `xhqa index` to rebuild it"
_BATCH = 32

_SCHEMA = """
CREATE TABLE documents (
    position INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, title TEXT NOT NULL,
    source_name TEXT NOT NULL, sha256 TEXT NOT NULL, media_type TEXT NOT NULL,
    uploaded INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE chunks (
    position INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, document_id TEXT NOT NULL,
    section_path TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, text TEXT NOT NULL,
    origin BLOB NOT NULL, sentences TEXT NOT NULL, tokens TEXT NOT NULL);
CREATE INDEX chunks_document ON chunks (document_id);
"""

Progress = Callable[[str, int, int], None]


def _silent(stage: str, done: int, total: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Entry:
    """A document to be in the index; ``uploaded`` ones outlive a rebuild from a folder."""

    document: Document
    uploaded: bool = False


class Index:
    """An opened generation. Safe to use from several threads."""

    def __init__(
        self,
        folder: Path,
        manifest: dict[str, Any],
        database: sqlite3.Connection,
        store: VectorStore,
        lexical: LexicalIndex,
        question_means: dict[str, npt.NDArray[np.float32]],
    ) -> None:
        """``question_means``: by script, the mean vector float32[d] of ordinary questions."""
        self.folder = folder
        self.manifest = manifest
        self.store = store
        self.lexical = lexical
        self.question_means = question_means
        self._database = database
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """The number of chunks."""
        return int(self.manifest["chunks"])

    def documents(self) -> tuple[DocumentInfo, ...]:
        rows = self._rows(
            "SELECT d.id, d.title, d.source_name, d.sha256, length(d.text), d.media_type,"
            " (SELECT count(*) FROM chunks c WHERE c.document_id = d.id)"
            " FROM documents d ORDER BY d.position"
        )
        return tuple(
            DocumentInfo(
                id=row[0],
                title=row[1],
                source_name=row[2],
                sha256=row[3],
                characters=row[4],
                media_type=row[5],
                chunks=row[6],
            )
            for row in rows
        )

    def entries(self) -> list[Entry]:
        """All documents with their texts, in order."""
        rows = self._rows(
            "SELECT id, title, text, source_name, sha256, media_type, uploaded"
            " FROM documents ORDER BY position"
        )
        return [Entry(Document(*row[:6]), bool(row[6])) for row in rows]

    def document(self, document_id: str) -> Document:
        """Raises NotFoundError where there is none."""
        rows = self._rows(
            "SELECT id, title, text, source_name, sha256, media_type FROM documents WHERE id = ?",
            (document_id,),
        )
        if not rows:
            raise NotFoundError(f"there is no document {document_id!r}: see GET /documents")
        return Document(*rows[0])

    def positions(self, document_ids: Iterable[str]) -> list[int]:
        """The chunk positions of these documents, ascending."""
        found: list[int] = []
        for document_id in document_ids:
            rows = self._rows("SELECT position FROM chunks WHERE document_id = ?", (document_id,))
            found.extend(row[0] for row in rows)
        return sorted(set(found))

    def chunk(self, position: int) -> Chunk:
        rows = self._rows(
            "SELECT id, document_id, section_path, start, end, text, origin, sentences"
            " FROM chunks WHERE position = ?",
            (position,),
        )
        return _chunk_of(rows[0])

    def reusable(self, document: Document) -> tuple[list[Chunk], list[list[str]], list[int]]:
        """The chunks, tokens and positions of this very document; empty where it changed."""
        rows = self._rows(
            "SELECT c.id, c.document_id, c.section_path, c.start, c.end, c.text, c.origin,"
            " c.sentences, c.tokens, c.position FROM chunks c JOIN documents d"
            " ON d.id = c.document_id WHERE d.id = ? AND d.sha256 = ? AND d.title = ?"
            " AND d.media_type = ? ORDER BY c.position",
            (document.id, document.sha256, document.title, document.media_type),
        )
        return (
            [_chunk_of(row[:8]) for row in rows],
            [json.loads(row[8]) for row in rows],
            [row[9] for row in rows],
        )

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(query, values).fetchall()


def _chunk_of(row: tuple[Any, ...]) -> Chunk:
    origin = array.array("i")
    origin.frombytes(row[6])
    return Chunk(
        id=row[0],
        document_id=row[1],
        section_path=tuple(json.loads(row[2])),
        start=row[3],
        end=row[4],
        view=View(row[5], origin),
        sentences=tuple((a, b) for a, b in json.loads(row[7])),
    )


def embedding_text(document: Document, chunk: Chunk) -> str:
    """What the encoder gets of a chunk: title and heading path, then the text."""
    heading = " / ".join(dict.fromkeys(part for part in (document.title, *chunk.section_path)))
    return f"{heading}\n{chunk.text}" if heading else chunk.text


# Opening


def exists(index_dir: Path) -> bool:
    return (index_dir / "CURRENT").is_file()


def open_index(index_dir: Path, encoder: Encoder) -> Index:
    """Open the current generation after checking every file against its sha256.

    Raises NotFoundError where there is no index, IndexDamagedError naming the file that does not
    match or both encoders where they differ.
    """
    pointer = index_dir / "CURRENT"
    try:
        current = json.loads(pointer.read_text("utf-8"))
        name, expected = current["generation"], current["manifest_sha256"]
        valid = bool(re.fullmatch(r"[0-9a-z-]{1,64}", name))
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no index in {index_dir}: run `xhqa index`, or set XHQA_INDEX_DIR"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexDamagedError(f"{pointer} is damaged: {_REBUILD}") from error
    folder = index_dir / "generations" / name if valid else index_dir
    if not valid or not folder.is_dir():
        raise IndexDamagedError(f"{pointer} is damaged or names a missing index: {_REBUILD}")
    manifest_path = folder / "manifest.json"
    if _sha256(manifest_path) != expected:
        raise IndexDamagedError(f"{manifest_path} does not match {pointer}: {_REBUILD}")
    manifest: dict[str, Any] = json.loads(manifest_path.read_text("utf-8"))
    if manifest["format"] != FORMAT:
        raise IndexDamagedError(
            f"{folder} has format {manifest['format']}, this xhqa reads {FORMAT}: {_REBUILD}"
        )
    for file, digest in manifest["files"].items():
        if _sha256(folder / file) != digest:
            raise IndexDamagedError(f"{folder / file} is damaged (sha256 differs): {_REBUILD}")
    built_with = manifest["encoder"]
    if built_with["fingerprint"] != encoder.fingerprint:
        raise IndexDamagedError(
            f"the index was built with the encoder {built_with['name']} "
            f"({built_with['fingerprint']}), but {encoder.name} ({encoder.fingerprint}) is in "
            f"use: {_REBUILD}, or set XHQA_ENCODER"
        )
    database = sqlite3.connect(
        f"{(folder / 'documents.sqlite').resolve().as_uri()}?mode=ro&immutable=1",
        uri=True,
        check_same_thread=False,
    )
    store = FaissStore.load(folder / "vectors.faiss", built_with["dimension"])
    lexical = LexicalIndex.load(folder / "lexical")
    means = np.load(folder / "question_means.npy", allow_pickle=False)
    return Index(
        folder, manifest, database, store, lexical, dict(zip(QUESTIONS, means, strict=True))
    )


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


# Building


def build(
    index_dir: Path,
    change: Callable[[list[Entry]], list[Entry]],
    encoder: Encoder,
    progress: Progress = _silent,
) -> Index:
    """Write a new generation and make it the current one.

    ``change`` gets the entries of the current index (none where there is no usable one) and
    returns those of the new one. Unchanged documents keep their chunks and vectors. ``progress``
    is told stage, number done and total. Raises BusyError where another process is building.
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
        old = _usable(index_dir, encoder)
        _sweep(generations, old)
        entries = change(old.entries() if old else [])
        _refuse_duplicates(entries)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=generations))
        manifest_sha256 = _write_generation(work, entries, old, encoder, progress)
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{manifest_sha256[:8]}"
        progress("switch", 0, 2)
        os.replace(work, generations / name)
        _sync(generations)
        progress("switch", 1, 2)
        _swap(index_dir, name, manifest_sha256)
        progress("switch", 2, 2)
        return open_index(index_dir, encoder)
    finally:
        lock.release()


def _usable(index_dir: Path, encoder: Encoder) -> Index | None:
    """The current index, or None where it is missing, damaged or of another encoder."""
    try:
        return open_index(index_dir, encoder)
    except XhqaError:
        return None


def _sweep(generations: Path, current: Index | None) -> None:
    """Remove what interrupted builds left, and generations older than the current one."""
    for folder in generations.iterdir():
        if current is None or folder.name != current.folder.name:
            shutil.rmtree(folder, ignore_errors=True)


def _refuse_duplicates(entries: Sequence[Entry]) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        other = seen.setdefault(entry.document.id, entry.document.source_name)
        if other is not entry.document.source_name:
            raise XhqaError(
                f"{other} and {entry.document.source_name} would both be document "
                f"{entry.document.id!r}: rename one"
            )


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
    vectors: dict[int, Any] = {}
    for number, entry in enumerate(entries):
        progress("split", number, len(entries))
        document = entry.document
        kept, kept_tokens, positions = old.reusable(document) if old else ([], [], [])
        if old and kept:
            for offset, vector in enumerate(old.store.vectors(positions)):
                vectors[len(chunks) + offset] = vector
        else:
            kept = split(document, repair(document), encoder.count_tokens, MAX_CHUNK_TOKENS)
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
        encoded = encoder.encode_passages([texts[n] for n in batch])
        vectors.update(zip(batch, encoded, strict=True))
    progress("embed", len(missing), len(missing))

    progress("write", 0, 3)
    store = FaissStore(encoder.dimension)
    if chunks:
        store.add(np.stack([vectors[n] for n in range(len(chunks))]))
    store.save(work / "vectors.faiss")
    progress("write", 1, 3)
    LexicalIndex.build(tokens).save(work / "lexical")
    progress("write", 2, 3)
    means = [encoder.encode_queries(questions).mean(axis=0) for questions in QUESTIONS.values()]
    np.save(work / "question_means.npy", np.stack(means), allow_pickle=False)
    _write_database(work / "documents.sqlite", entries, chunks, tokens)
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
        "files": {p.relative_to(work).as_posix(): _sha256(p) for p in files},
    }
    (work / "manifest.json").write_text(json.dumps(manifest, indent=2), "utf-8")
    work.chmod(0o755)
    for path in [*files, work / "manifest.json", work / "lexical", work]:
        _sync(path)
    return str(_sha256(work / "manifest.json"))


def _write_database(
    path: Path,
    entries: Sequence[Entry],
    chunks: Sequence[Chunk],
    tokens: Sequence[Sequence[str]],
) -> None:
    database = sqlite3.connect(path)
    try:
        database.executescript(_SCHEMA)
        database.executemany(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
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
                )
                for number, e in enumerate(entries)
            ),
        )
        database.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
