"""An opened generation, and the checks it goes through first."""

from __future__ import annotations

import array
import hashlib
import json
import re
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xhqa.background import QUESTIONS
from xhqa.encode import Encoder
from xhqa.errors import IndexDamagedError, NotFoundError
from xhqa.index.change import Entry
from xhqa.index.passages import half, whole
from xhqa.index.protocol import Candidates
from xhqa.lexical import LexicalIndex
from xhqa.store import Vectors, VectorStore, highest, open_store
from xhqa.types import Chunk, Document, DocumentInfo, Heading, View

# Raised whenever what is written, or how text is repaired, split or tokenized, changes.
FORMAT = 6

_REBUILD = "run `xhqa index` on the same files to rebuild it"


class Generation:
    """An opened generation, which never changes. Safe to use from several threads."""

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
        # Closed when the last question that uses this index is done.
        weakref.finalize(self, database.close)

    def __len__(self) -> int:
        """The number of chunks."""
        return int(self.manifest["chunks"])

    def view(self) -> Generation:
        """What one question is answered with."""
        return self

    def describe(self) -> str:
        return (
            f"{self.folder}: {self.manifest['documents']} documents, {len(self)} passages, "
            f"built {self.manifest['created']}"
        )

    @property
    def document_count(self) -> int:
        return int(self.manifest["documents"])

    def documents(self) -> tuple[DocumentInfo, ...]:
        return tuple(map(_info_of, self._rows(f"{_INFO} ORDER BY d.position")))

    def info(self, document_id: str) -> DocumentInfo:
        """Raises NotFoundError where there is none."""
        rows = self._rows(f"{_INFO} WHERE d.id = ?", (document_id,))
        if not rows:
            raise _no_document(document_id)
        return _info_of(rows[0])

    def document(self, document_id: str) -> Document:
        """Raises NotFoundError where there is none."""
        rows = self._rows(f"SELECT {_DOCUMENT} FROM documents WHERE id = ?", (document_id,))
        if not rows:
            raise _no_document(document_id)
        return _document_of(rows[0])

    def holds(self, document_id: str) -> bool:
        return bool(self._rows("SELECT 1 FROM documents WHERE id = ?", (document_id,)))

    def positions(self, document_ids: Iterable[str]) -> list[int]:
        """The chunk positions of these documents, ascending."""
        found: list[int] = []
        for document_id in document_ids:
            rows = self._rows("SELECT position FROM chunks WHERE document_id = ?", (document_id,))
            found.extend(row[0] for row in rows)
        return sorted(set(found))

    def chunk(self, position: int) -> Chunk:
        rows = self._rows(
            f"SELECT {CHUNK} FROM chunks c WHERE position = ?",
            (position,),
        )
        return chunk_of(rows[0])

    def chunks(self, document_id: str) -> list[Chunk]:
        """The chunks of a document, in order."""
        rows = self._rows(
            f"SELECT {CHUNK} FROM chunks c WHERE document_id = ? ORDER BY position",
            (document_id,),
        )
        return [chunk_of(row) for row in rows]

    def sentence_vectors(self, chunk: Chunk) -> Vectors:
        """float32[n, d]: the vectors of the chunk's n sentences; their length is at most 1."""
        ((stored,),) = self._rows(
            "SELECT vectors FROM sentence_vectors JOIN chunks USING (position) WHERE id = ?",
            (chunk.id,),
        )
        return whole(stored, len(chunk.sentences))

    def nearest_sentences(self, places: Sequence[int], vector: Vectors) -> Vectors:
        """As ``Index.nearest_sentences``."""
        rows = self._rows(
            "SELECT position, vectors FROM sentence_vectors "
            "WHERE position IN (SELECT value FROM json_each(?))",
            (json.dumps(list(places)),),
        )
        bytes_each = len(half(vector))
        nearest = {
            place: (whole(stored, len(stored) // bytes_each) @ vector).max()
            for place, stored in rows
        }
        return np.array([nearest[place] for place in places], np.float32)

    def candidates(
        self,
        vector: Vectors,
        tokens: Sequence[str],
        translated: Sequence[Mapping[str, float]],
        weights: tuple[float, float],
        count: int,
        among: Sequence[str] | None = None,
    ) -> Candidates:
        """As ``Index.candidates``; places are chunk positions."""
        positions = None if among is None else self.positions(among)
        near, _ = self.store.search(vector, count, positions)
        direct = self.lexical.shares(tokens)
        by_meaning = self.lexical.alternative_shares(translated)
        lexical = direct * np.float32(weights[0]) + by_meaning * np.float32(weights[1])
        if positions is None:
            # Of floats it takes many times as long.
            holding = np.flatnonzero(lexical > 0)
        else:
            pool = np.asarray(positions, np.int64)
            holding = pool[lexical[pool] > 0]
        matching = holding[highest(lexical[holding], count)]
        places = np.union1d(near, matching)
        return Candidates(
            places=places.tolist(),
            dense=self.store.vectors(places) @ vector,
            direct=direct[places],
            translated=by_meaning[places],
            near=np.isin(places, near),
            matching=np.isin(places, matching),
        )

    def idfs(self, tokens: Iterable[str]) -> dict[str, float]:
        return self.lexical.idfs(tokens)

    def word_weights(self, words: Sequence[Mapping[str, float]]) -> Vectors:
        return self.lexical.word_weights(words)

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(query, values).fetchall()


# The columns that ``chunk_of`` takes, of a table ``c``.
CHUNK = "c.id, c.document_id, c.section_path, c.start, c.end, c.text, c.origin, c.sentences"


def chunk_of(row: tuple[Any, ...]) -> Chunk:
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


def exists(index_dir: Path) -> bool:
    return (index_dir / "CURRENT").is_file()


def open_index(index_dir: Path, encoder: Encoder) -> Generation:
    """Open the current generation after checking every file against its sha256.

    Raises NotFoundError where there is no index, IndexDamagedError naming the file that does not
    match or both encoders where they differ.
    """
    folder, manifest = current_generation(index_dir)
    try:
        return _open(folder, manifest, encoder)
    except (IndexDamagedError, FileNotFoundError):
        # Two builds may have passed since CURRENT was read.
        again, manifest = current_generation(index_dir)
        if again == folder:
            raise
        return _open(again, manifest, encoder)


def current_generation(index_dir: Path, *, any_format: bool = False) -> tuple[Path, dict[str, Any]]:
    """The current generation's folder and its verified manifest.

    Raises NotFoundError where there is none, IndexDamagedError where it is damaged or, unless
    ``any_format``, of another format.
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
    if sha256_of(manifest_path) != expected:
        raise IndexDamagedError(f"{manifest_path} does not match {pointer}: {_REBUILD}")
    manifest: dict[str, Any] = json.loads(manifest_path.read_text("utf-8"))
    if manifest["format"] != FORMAT and not any_format:
        raise IndexDamagedError(
            f"{folder} has format {manifest['format']}, this xhqa reads {FORMAT}: {_REBUILD}"
        )
    return folder, manifest


def verify(folder: Path, manifest: dict[str, Any], file: str) -> None:
    if sha256_of(folder / file) != manifest["files"][file]:
        raise IndexDamagedError(f"{folder / file} is damaged (sha256 differs): {_REBUILD}")


def _open(folder: Path, manifest: dict[str, Any], encoder: Encoder) -> Generation:
    for file in manifest["files"]:
        verify(folder, manifest, file)
    built_with = manifest["encoder"]
    if built_with["fingerprint"] != encoder.fingerprint:
        raise IndexDamagedError(
            f"the index was built with the encoder {built_with['name']} "
            f"({built_with['fingerprint']}), but {encoder.name} ({encoder.fingerprint}) is in "
            f"use: {_REBUILD}, or set XHQA_ENCODER"
        )
    store = open_store(folder, manifest["vectors"], built_with["dimension"])
    lexical = LexicalIndex.load(folder / "lexical")
    means = np.load(folder / "question_means.npy", allow_pickle=False)
    database = connect(folder)
    return Generation(
        folder, manifest, database, store, lexical, dict(zip(QUESTIONS, means, strict=True))
    )


def uri_of(folder: Path) -> str:
    """The generation's database as SQLite is to open it: read-only, without locks."""
    return f"{(folder / 'documents.sqlite').resolve().as_uri()}?mode=ro&immutable=1"


def connect(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(uri_of(folder), uri=True, check_same_thread=False)


def readable(database: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError where the documents are not kept as in this format."""
    database.execute(f"SELECT {_DOCUMENT}, uploaded FROM documents LIMIT 0")


def entry_of(database: sqlite3.Connection, document_id: str) -> Entry:
    """A document that is there."""
    (row,) = database.execute(
        f"SELECT {_DOCUMENT}, uploaded FROM documents WHERE id = ?", (document_id,)
    )
    return Entry(_document_of(row[:-1]), bool(row[-1]))


_INFO = (
    "SELECT d.id, d.title, d.source_name, d.sha256, length(d.text),"
    " (SELECT count(*) FROM chunks c WHERE c.document_id = d.id), d.media_type FROM documents d"
)


def _info_of(row: tuple[Any, ...]) -> DocumentInfo:
    return DocumentInfo(*row)


def _no_document(document_id: str) -> NotFoundError:
    return NotFoundError(f"there is no document {document_id!r}: see GET /documents")


_DOCUMENT = "id, title, text, source_name, sha256, media_type, headings, pages"


def places_of(document: Document) -> tuple[str, str]:
    """A document's headings and pages as they are kept."""
    headings = [(heading.start, heading.end, heading.level) for heading in document.headings]
    return json.dumps(headings), json.dumps(document.pages)


def _document_of(row: tuple[Any, ...]) -> Document:
    *plain, headings, pages = row
    return replace(
        Document(*plain),
        headings=tuple(Heading(*heading) for heading in json.loads(headings)),
        pages=tuple(json.loads(pages)),
    )


def sha256_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
