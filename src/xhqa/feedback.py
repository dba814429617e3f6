"""What users said of answers, kept in one local SQLite file and sent nowhere."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from xhqa.errors import InputError
from xhqa.types import Answer, Turn

Verdict = Literal["right", "wrong"]

_VERSION = 1
_SCHEMA = """
CREATE TABLE feedback (
    number INTEGER PRIMARY KEY, at TEXT NOT NULL, question TEXT NOT NULL, history TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('right', 'wrong')), right_answer TEXT,
    document_id TEXT, cited_text TEXT, start INTEGER, end INTEGER);
"""


@dataclass(frozen=True, slots=True)
class Feedback:
    """A question as it was asked, what was cited (nothing in a refusal), and the verdict."""

    question: str
    history: tuple[Turn, ...]
    verdict: Verdict
    right_answer: str | None = None
    document_id: str | None = None
    cited_text: str | None = None
    start: int | None = None
    end: int | None = None

    @classmethod
    def of(
        cls,
        answer: Answer,
        history: tuple[Turn, ...],
        verdict: Verdict,
        right_answer: str | None = None,
    ) -> Feedback:
        """A verdict on ``answer``; a blank right answer is none."""
        right_answer = (right_answer or "").strip() or None
        if not answer.citations:
            return cls(answer.question, history, verdict, right_answer)
        first = answer.citations[0]
        return cls(
            answer.question,
            history,
            verdict,
            right_answer,
            first.document_id,
            first.cited_text,
            first.start_char_index,
            first.end_char_index,
        )


class FeedbackFile:
    """The file; made with the first verdict. Safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, feedback: Feedback) -> None:
        """Keep one verdict. Raises InputError where the file cannot be written."""
        history = json.dumps([asdict(turn) for turn in feedback.history], ensure_ascii=False)
        row = (
            datetime.now(UTC).isoformat(timespec="seconds"),
            feedback.question,
            history,
            feedback.verdict,
            feedback.right_answer,
            feedback.document_id,
            feedback.cited_text,
            feedback.start,
            feedback.end,
        )
        with self._opened() as database, database:
            database.execute(
                "INSERT INTO feedback (at, question, history, verdict, right_answer, document_id,"
                " cited_text, start, end) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def all(self) -> tuple[Feedback, ...]:
        """Every verdict, oldest first; none where there is no file yet. Raises InputError where
        the file cannot be read."""
        if not self.path.exists():
            return ()
        with self._opened() as database:
            rows = database.execute(
                "SELECT question, history, verdict, right_answer, document_id, cited_text, start,"
                " end FROM feedback ORDER BY number"
            ).fetchall()
        return tuple(
            Feedback(row[0], tuple(Turn(**turn) for turn in json.loads(row[1])), *row[2:])
            for row in rows
        )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=10)) as database:
                # A transaction, so that of two processes only one makes the table.
                with database:
                    database.execute("BEGIN IMMEDIATE")
                    (version,) = database.execute("PRAGMA user_version").fetchone()
                    if version == 0:
                        database.execute(_SCHEMA)
                        database.execute(f"PRAGMA user_version = {_VERSION}")
                if version not in (0, _VERSION):
                    raise InputError(
                        f"{self.path} has format {version}, this xhqa reads {_VERSION}: "
                        "set XHQA_FEEDBACK_FILE to another file"
                    )
                yield database
        except (OSError, sqlite3.Error) as error:
            raise InputError(
                f"the feedback file {self.path} cannot be used ({error}): set XHQA_FEEDBACK_FILE"
            ) from error
