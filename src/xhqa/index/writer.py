"""Writing the files of a generation."""

from __future__ import annotations

import array
import json
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xhqa.encode import Encoder
from xhqa.errors import InputError
from xhqa.index.cache import EmbeddingCache
from xhqa.index.change import Change, Entry, Progress
from xhqa.index.generation import CHUNK, FORMAT, chunk_of, places_of, sha256_of, uri_of
from xhqa.index.passages import BATCH, chunks_of, embedding_text, half, question_means, sentences_in
from xhqa.index.previous import SCHEMA, Previous
from xhqa.lexical import LexicalIndex, tokenize
from xhqa.store import Vectors, create, finish, kind
from xhqa.types import Document

# Chunks that are read back and sorted by length together.
_WINDOW = 4096

_CHUNK_COLUMNS = "id, document_id, section_path, start, end, text, origin, sentences, tokens"
_SENTENCES = "INSERT INTO sentence_vectors VALUES (?, ?)"


class Writer:
    """Writes all files of a generation into the folder ``work``.

    Documents and chunks go to the database as they come and are read back from there, so that
    memory does not grow with them.
    """

    def __init__(
        self,
        work: Path,
        old: Previous,
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
        self.database.executescript(SCHEMA)
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
            sync(path)
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
                *places_of(document),
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


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
