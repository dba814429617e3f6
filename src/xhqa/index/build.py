"""Writing a generation and making it the current one."""

from __future__ import annotations

import array
import json
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xhqa.encode import Encoder
from xhqa.errors import BusyError, IndexDamagedError, InputError
from xhqa.index.cache import EmbeddingCache
from xhqa.index.change import Change, Changing, Entry, Held, Progress, silent
from xhqa.index.generation import (
    CHUNK,
    FORMAT,
    Generation,
    chunk_of,
    connect,
    current_generation,
    entry_of,
    exists,
    open_index,
    readable,
    sha256_of,
    uri_of,
    verify,
)
from xhqa.index.passages import BATCH, chunks_of, embedding_text, half, question_means, sentences_in
from xhqa.lexical import LexicalIndex, tokenize
from xhqa.store import Vectors, create, finish, kind
from xhqa.types import Document

# Chunks that are read back and sorted by length together.
_WINDOW = 4096

# How the names of generations begin that could not be read, and are kept.
_ASIDE = "unread-"

logger = logging.getLogger(__name__)

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


def build(
    index_dir: Path,
    change: Changing,
    encoder: Encoder,
    progress: Progress = silent,
    *,
    over_damage: bool = False,
) -> Generation:
    """Write a new generation and make it the current one.

    ``change`` gets what the current index holds and returns what becomes of it. Unchanged
    documents keep their chunks and, under the same encoder, their vectors; what an interrupted
    build had embedded is not embedded again. ``progress`` is told stage, number done and total.
    Raises BusyError where another process is building, InputError for two documents of one id,
    and IndexDamagedError where the current index's documents cannot be read, unless
    ``over_damage`` allows to start from none.
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
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=generations))
        cache = EmbeddingCache(index_dir / "embeddings.sqlite", encoder)
        with closing(cache), closing(_Old.of(index_dir, encoder, over_damage)) as old:
            writer = _Writer(work, old, encoder, cache, progress)
            with closing(writer.database):
                manifest_sha256 = writer.write(change(old.held))
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{manifest_sha256[:8]}"
        progress("switch", 0, 2)
        os.replace(work, generations / name)
        _sync(generations)
        progress("switch", 1, 2)
        before = _current_name(index_dir)
        _swap(index_dir, name, manifest_sha256)
        cache.remove()
        for folder in generations.iterdir():
            if folder.name == name or folder.name.startswith((".", _ASIDE)):
                continue
            if old.unread:
                _keep_aside(folder)
            # The one before stays until the next build: somebody may be opening it.
            elif folder.name != before:
                shutil.rmtree(folder, ignore_errors=True)
        progress("switch", 2, 2)
        return open_index(index_dir, encoder)
    finally:
        # Where it failed for want of room, what it wrote must not go on taking it.
        _clear(generations)
        lock.release()


def _keep_aside(folder: Path) -> None:
    """What was uploaded to an index that cannot be read is in no other place."""
    aside = folder.with_name(_ASIDE + folder.name)
    os.replace(folder, aside)
    logger.warning(
        "the index before could not be read: what was uploaded to it is not in this one. "
        "Upload it again; the old files are kept in %s, delete them when you are done",
        aside,
    )


def _clear(generations: Path) -> None:
    for leftover in generations.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _current_name(index_dir: Path) -> str | None:
    """The name in CURRENT, whether or not it can be opened."""
    try:
        return str(json.loads((index_dir / "CURRENT").read_text("utf-8"))["generation"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _Old:
    """What the current index has to give: its documents, and their chunks if they can be used."""

    def __init__(self, folder: Path | None, index: Generation | None, unread: bool = False) -> None:
        """``unread``: there are documents, but they cannot be read."""
        self.folder = folder
        self.index = index
        self.unread = unread
        self._database = connect(folder) if folder else sqlite3.connect(":memory:")
        if folder is None:
            self._database.executescript(_SCHEMA)
        self.held = {
            row[0]: Held(row[0], row[1], row[2], bool(row[3]))
            for row in self._database.execute(
                "SELECT id, source_name, sha256, uploaded FROM documents ORDER BY position"
            )
        }

    @classmethod
    def of(cls, index_dir: Path, encoder: Encoder, over_damage: bool) -> _Old:
        if not exists(index_dir):
            return cls(None, None)
        try:
            index = open_index(index_dir, encoder)
            return cls(index.folder, index)
        except IndexDamagedError:
            try:
                folder, manifest = current_generation(index_dir, any_format=over_damage)
                verify(folder, manifest, "documents.sqlite")
                with closing(connect(folder)) as database:
                    readable(database)
            except (IndexDamagedError, OSError, KeyError, sqlite3.DatabaseError):
                if over_damage:
                    return cls(None, None, unread=True)
                raise
            return cls(folder, None)

    def entry(self, document_id: str) -> Entry:
        return entry_of(self._database, document_id)

    def chunks(self, entry: Entry) -> tuple[int, int]:
        """Position of the first and number of the chunks of this very document; none where it
        changed or its vectors are another encoder's."""
        document = entry.document
        if self.index is None:
            return 0, 0
        first, count = self._database.execute(
            "SELECT min(c.position), count(*) FROM chunks c JOIN documents d ON d.id ="
            " c.document_id WHERE d.id = ? AND d.sha256 = ? AND d.title = ? AND d.media_type = ?",
            (document.id, document.sha256, document.title, document.media_type),
        ).fetchone()
        return first or 0, count

    def close(self) -> None:
        self._database.close()


class _Writer:
    """Writes all files of a generation into the folder ``work``.

    Documents and chunks go to the database as they come and are read back from there, so that
    memory does not grow with them.
    """

    def __init__(
        self,
        work: Path,
        old: _Old,
        encoder: Encoder,
        cache: EmbeddingCache,
        progress: Progress,
    ) -> None:
        self._work = work
        self._old = old
        self._encoder = encoder
        self._cache = cache
        self._progress = progress
        self.database = sqlite3.connect(work / "documents.sqlite", uri=True)
        # What is half written is thrown away, and what is done is synced with all other files.
        self.database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        self.database.executescript(_SCHEMA)
        if old.folder:
            self.database.execute("ATTACH ? AS old", (uri_of(old.folder),))

    def write(self, change: Change) -> str:
        """All files of the changed index; returns the sha256 of its manifest."""
        work, database, progress = self._work, self.database, self._progress
        kept = self._write_documents(change)
        ((documents,),) = database.execute("SELECT count(*) FROM documents")
        ((count,),) = database.execute("SELECT count(*) FROM chunks")
        vectors = create(work, count, self._encoder.dimension)
        missing = np.ones(count, np.bool_)
        for now, before, length in kept:
            assert self._old.index is not None
            missing[now : now + length] = False
            vectors[now : now + length] = self._old.index.store.vectors(
                range(before, before + length)
            )
        self._embed(np.flatnonzero(missing), vectors)
        progress("write", 0, 3)
        database.commit()
        finish(work, vectors)
        progress("write", 1, 3)
        tokens = database.execute("SELECT tokens FROM chunks ORDER BY position")
        LexicalIndex.build(json.loads(row) for (row,) in tokens).save(work / "lexical")
        progress("write", 2, 3)
        database.close()
        old = self._old.index
        means = old.question_means if old else question_means(self._encoder)
        np.save(work / "question_means.npy", np.stack(list(means.values())), allow_pickle=False)
        progress("write", 3, 3)

        files = sorted(p for p in work.rglob("*") if p.is_file())
        encoder = self._encoder
        manifest = {
            "format": FORMAT,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "encoder": {
                "name": encoder.name,
                "fingerprint": encoder.fingerprint,
                "dimension": encoder.dimension,
            },
            "documents": documents,
            "chunks": count,
            "vectors": kind(work),
            "files": {p.relative_to(work).as_posix(): sha256_of(p) for p in files},
        }
        (work / "manifest.json").write_text(json.dumps(manifest, indent=2), "utf-8")
        work.chmod(0o755)
        for path in [*files, work / "manifest.json", work / "lexical", work]:
            _sync(path)
        return str(sha256_of(work / "manifest.json"))

    def _write_documents(self, change: Change) -> list[tuple[int, int, int]]:
        """Write the documents and their chunks; return where chunks are kept with their vectors:
        position now, position before, number of them."""
        places = {name: place for place, name in enumerate(self._old.held)}
        written: dict[str, str] = {}
        kept: list[tuple[int, int, int]] = []
        count = 0

        def others() -> Iterator[Entry]:
            for held in self._old.held.values():
                if held.id not in written and change.keeps(held):
                    yield self._old.entry(held.id)

        expected = max(1, change.expected + len(places))
        for done, entry in enumerate(chain(change.put, others())):
            self._progress("split", min(done, expected), expected)
            document = entry.document
            if document.id in written:
                raise InputError(
                    f"{written[document.id]} and {document.source_name} would both be document "
                    f"{document.id!r}: rename one"
                )
            written[document.id] = document.source_name
            self._write_document(places.setdefault(document.id, len(places)), entry)
            before, length = self._old.chunks(entry)
            if length:
                self._copy_chunks(count, before, length)
                kept.append((count, before, length))
            else:
                length = self._write_chunks(count, document)
            count += length
        self._progress("split", expected, expected)
        return kept

    def _copy_chunks(self, now: int, before: int, length: int) -> None:
        shift, last = now - before, before + length - 1
        self.database.execute(
            f"INSERT INTO chunks SELECT position + ?, {_CHUNK_COLUMNS} FROM old.chunks"
            " WHERE position BETWEEN ? AND ?",
            (shift, before, last),
        )
        self.database.execute(
            "INSERT INTO sentence_vectors SELECT position + ?, vectors FROM old.sentence_vectors"
            " WHERE position BETWEEN ? AND ?",
            (shift, before, last),
        )

    def _write_chunks(self, position: int, document: Document) -> int:
        """Split a document; return the number of its chunks, the first at ``position``."""
        chunks = chunks_of(document, self._encoder)
        self.database.executemany(
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
                    json.dumps(tokenize(embedding_text(document.title, chunk)), ensure_ascii=False),
                )
                for at, chunk in enumerate(chunks, position)
            ),
        )
        return len(chunks)

    def _write_document(self, place: int, entry: Entry) -> None:
        document = entry.document
        self.database.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                place,
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

    def _embed(self, missing: npt.NDArray[np.int64], vectors: Vectors) -> None:
        """Fill in the vectors of the chunks at the positions ``missing``, ascending."""
        done = 0
        for at in range(0, len(missing), _WINDOW):
            window = missing[at : at + _WINDOW]
            wanted = set(window.tolist())
            rows = self.database.execute(
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
                parts = sentences_in(text, chunk)
                if known := self._cache.get(text, parts):
                    vectors[position], stored = known
                    self.database.execute(_SENTENCES, (position, stored))
                    done += 1
                else:
                    unknown.append((position, text, parts))
            # Longest first: batches of one length.
            unknown.sort(key=lambda one: -len(one[1]))
            for start in range(0, len(unknown), BATCH):
                self._progress("embed", done, len(missing))
                positions, texts, ranges = zip(*unknown[start : start + BATCH], strict=True)
                encoded, sentences = self._encoder.encode_parts(texts, ranges)
                halves = [half(rows) for rows in sentences]
                self._cache.put(texts, ranges, encoded, halves)
                vectors[list(positions)] = encoded
                self.database.executemany(_SENTENCES, zip(positions, halves, strict=True))
                done += len(positions)
        self._progress("embed", len(missing), len(missing))


_CHUNK_COLUMNS = "id, document_id, section_path, start, end, text, origin, sentences, tokens"
_SENTENCES = "INSERT INTO sentence_vectors VALUES (?, ?)"


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
