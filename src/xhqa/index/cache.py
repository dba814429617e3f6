"""What an interrupted build had embedded, so that the next one need not embed it again."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xhqa.encode import Encoder, Parts
from xhqa.store import Vectors


class EmbeddingCache:
    """Vectors of texts and of their parts, in an SQLite file that outlives a killed process.

    A key is the sha256 of all that the vectors depend on: the encoder's fingerprint, the text and
    its parts.
    """

    def __init__(self, path: Path, encoder: Encoder) -> None:
        self._path = path
        self._fingerprint = encoder.fingerprint
        self._database = self._opened()

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError:
            # Only work is lost with it, never a document.
            self.remove()
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS embeddings (key BLOB UNIQUE NOT NULL,"
                " vector BLOB NOT NULL, parts BLOB NOT NULL)"
            )
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def get(self, text: str, parts: Parts) -> tuple[Vectors, bytes] | None:
        """The text's vector float32[d] and those of its parts as float16; None where unknown."""
        row = self._database.execute(
            "SELECT vector, parts FROM embeddings WHERE key = ?", (self._key(text, parts),)
        ).fetchone()
        return None if row is None else (np.frombuffer(row[0], np.float32), row[1])

    def put(
        self,
        texts: Sequence[str],
        parts: Sequence[Parts],
        vectors: Vectors,
        encoded: Sequence[bytes],
    ) -> None:
        """Keep the vectors of a batch; they are safe from then on."""
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)",
                (
                    (self._key(text, ranges), np.float32(vector).tobytes(), stored)
                    for text, ranges, vector, stored in zip(
                        texts, parts, vectors, encoded, strict=True
                    )
                ),
            )

    def _key(self, text: str, parts: Parts) -> bytes:
        told = json.dumps([self._fingerprint, text, list(parts)])
        return hashlib.sha256(told.encode()).digest()

    def close(self) -> None:
        self._database.close()

    def remove(self) -> None:
        """Take its files away; it must be closed."""
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
