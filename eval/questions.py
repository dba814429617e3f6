"""The fixed question set: one JSON object a line, checked field by field as it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from xhqa.errors import InputError
from xhqa.types import Turn

Kind = Literal["factual", "follow_up", "absent", "near_miss"]
Language = Literal["zh", "en", "zh-Hant"]

QUESTIONS = Path(__file__).with_name("questions.jsonl")
_UNANSWERABLE = ("absent", "near_miss")


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what a right answer is. ``spans`` are ranges of the document's text.

    ``absent``: nothing about it in the documents; ``near_miss``: its subject is there, the answer
    is not. Both are without answers, and a refusal is right.
    """

    id: str
    kind: Kind
    language: Language
    question: str
    history: tuple[Turn, ...]
    answers: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    document_id: str | None

    @property
    def answerable(self) -> bool:
        return bool(self.answers)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error


def load_questions(path: Path = QUESTIONS) -> list[Question]:
    """The questions of a JSONL file, in order; blank lines are passed over."""
    questions: list[Question] = []
    seen: dict[str, int] = {}
    # split, not splitlines: U+2028 may stand inside a JSON string
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            question = _question(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        if question.id in seen:
            raise InputError(
                f"{path}, line {number}: id {question.id!r} stands in line {seen[question.id]} too"
            )
        seen[question.id] = number
        questions.append(question)
    if not questions:
        raise InputError(f"{path}: no questions in it")
    return questions


def _question(line: str) -> Question:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    kind = cast(Kind, _one_of(record, "kind", get_args(Kind)))
    question = Question(
        id=_text(record, "id"),
        kind=kind,
        language=cast(Language, _one_of(record, "language", get_args(Language))),
        question=_text(record, "question"),
        history=tuple(_turn(item) for item in _list(record, "history")),
        answers=tuple(_answer(item) for item in _list(record, "answers")),
        spans=tuple(_span(item) for item in _list(record, "spans")),
        document_id=None if record.get("document_id") is None else _text(record, "document_id"),
    )
    if kind in _UNANSWERABLE:
        if question.answers or question.spans:
            raise ValueError(f"kind {kind!r} has no answer, but answers or spans are given")
    elif not question.answers or not question.spans or question.document_id is None:
        raise ValueError(f"kind {kind!r} needs document_id, answers and spans")
    return question


def _field(record: Mapping[str, object], key: str) -> object:
    if key not in record:
        raise ValueError(f"{key!r} is missing")
    return record[key]


def _text(record: Mapping[str, object], key: str) -> str:
    value = _field(record, key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key!r} must be a string that is not blank, not {value!r}")
    return value


def _one_of(record: Mapping[str, object], key: str, allowed: tuple[str, ...]) -> str:
    value = _text(record, key)
    if value not in allowed:
        raise ValueError(f"{key!r} must be one of {', '.join(allowed)}, not {value!r}")
    return value


def _list(record: Mapping[str, object], key: str) -> list[object]:
    value = _field(record, key)
    if not isinstance(value, list):
        raise ValueError(f"{key!r} must be a list, not {value!r}")
    return value


def _turn(item: object) -> Turn:
    if not isinstance(item, dict):
        raise ValueError(f"a turn of 'history' must be an object, not {item!r}")
    answer = item.get("answer")
    if answer is not None and not isinstance(answer, str):
        raise ValueError(f"'answer' of a turn must be a string or null, not {answer!r}")
    return Turn(question=_text(item, "question"), answer=answer)


def _answer(item: object) -> str:
    if not isinstance(item, str) or not item.strip():
        raise ValueError(f"an answer must be a string that is not blank, not {item!r}")
    return item


def _span(item: object) -> tuple[int, int]:
    match item:
        case [int(start), int(end)] if 0 <= start < end:
            return start, end
    raise ValueError(f"a span must be [start, end] with 0 <= start < end, not {item!r}")
