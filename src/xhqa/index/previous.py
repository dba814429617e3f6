"""What a build finds in the folder: the documents of the current generation, and its chunks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from xhqa.encode import Encoder
from xhqa.errors import IndexDamagedError
from xhqa.index.change import Entry, Held
from xhqa.index.generation import (
    Generation,
    connect,
    current_generation,
    entry_of,
    exists,
    open_index,
    places_of,
    readable,
    verify,
)

SCHEMA = """
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


class Previous:
    """What the current index has to give: its documents, and their chunks if they can be used."""

    def __init__(self, folder: Path | None, index: Generation | None, unread: bool = False) -> None:
        """``unread``: there are documents, but they cannot be read."""
        self.folder = folder
        self.index = index
        self.unread = unread
        self._database = connect(folder) if folder else sqlite3.connect(":memory:")
        if folder is None:
            self._database.executescript(SCHEMA)
        self.held = {
            row[0]: Held(row[0], row[1], row[2], bool(row[3]))
            for row in self._database.execute(
                "SELECT id, source_name, sha256, uploaded FROM documents ORDER BY position"
            )
        }

    @classmethod
    def of(cls, index_dir: Path, encoder: Encoder, over_damage: bool) -> Previous:
        """Raises IndexDamagedError where the documents cannot be read, unless ``over_damage``."""
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
        changed, or the same file is read otherwise than before (by a newer library), or its vectors
        are another encoder's."""
        document = entry.document
        if self.index is None:
            return 0, 0
        first, count = self._database.execute(
            "SELECT min(c.position), count(*) FROM chunks c JOIN documents d ON d.id ="
            " c.document_id WHERE d.id = ? AND d.title = ? AND d.media_type = ? AND d.text = ?"
            " AND d.headings = ? AND d.pages = ?",
            (document.id, document.title, document.media_type, document.text, *places_of(document)),
        ).fetchone()
        return first or 0, count

    def close(self) -> None:
        self._database.close()
