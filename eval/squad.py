"""SQuAD-style files (Rajpurkar et al. 2016, 2018) as paragraphs and questions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xhqa.errors import InputError
from xhqa.pipeline import MAX_QUESTION

from .questions import Language, Question, read_text

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")


@dataclass(frozen=True, slots=True)
class SquadParagraph:
    """A paragraph of the file; ``id`` is what its questions carry as ``document_id``."""

    id: str
    title: str
    text: str


def load_squad(
    path: Path, questions_from: Path | None = None, limit: int | None = None
) -> tuple[list[SquadParagraph], list[Question]]:
    """Every paragraph of a file, and its questions or the first ``limit`` of them.

    Identical paragraphs appear once. ``questions_from`` is a parallel file whose questions, in
    the same order, take the place of this file's. A blank question, or one longer than can be
    asked, is left out. All paragraphs stay whatever the limit, so that finding the right one is as
    hard as it is.
    """
    if limit is not None and limit < 1:
        raise InputError(f"the limit must be at least 1, not {limit}")
    paragraphs, questions = _read(path)
    if questions_from is not None:
        _, others = _read(questions_from)
        if len(others) != len(questions):
            raise InputError(
                f"{path} has {len(questions)} questions but {questions_from} has {len(others)}: "
                "parallel files have the same questions in the same order"
            )
        questions = [
            replace(mine, question=other.question, language=other.language)
            for mine, other in zip(questions, others, strict=True)
        ]
    asked = [q for q in questions if 0 < len(q.question.strip()) <= MAX_QUESTION]
    if not asked:
        raise InputError(f"{path}: no questions in it")
    return paragraphs, asked[:limit]


def _read(path: Path) -> tuple[list[SquadParagraph], list[Question]]:
    try:
        content = json.loads(read_text(path))
        return _paragraphs_and_questions(content)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON: {error.msg} in line {error.lineno}") from error
    except ValueError as error:
        raise InputError(f"{path}: not a SQuAD-style file: {error}") from error


def _paragraphs_and_questions(content: object) -> tuple[list[SquadParagraph], list[Question]]:
    paragraphs: dict[str, SquadParagraph] = {}
    questions: list[Question] = []
    ids: set[str] = set()
    for where, title, paragraph in _paragraphs(content):
        text = _text(paragraph, "context", where)
        name = f"p{len(paragraphs) + 1:05d}"
        known = paragraphs.setdefault(text, SquadParagraph(name, title or name, text))
        for index, item in enumerate(_list(paragraph, "qas", where)):
            qa = _object(item, f"{where}.qas[{index}]")
            questions.append(_question(qa, f"{where}.qas[{index}]", known, ids))
    return list(paragraphs.values()), questions


def _paragraphs(content: object) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    for i, item in enumerate(_list(_object(content, "the file"), "data", "the file")):
        entry = _object(item, f"data[{i}]")
        title = entry.get("title")
        for j, paragraph in enumerate(_list(entry, "paragraphs", f"data[{i}]")):
            where = f"data[{i}].paragraphs[{j}]"
            yield where, title if isinstance(title, str) else "", _object(paragraph, where)


def _question(
    qa: Mapping[str, object], where: str, paragraph: SquadParagraph, ids: set[str]
) -> Question:
    text = _text(qa, "question", where)
    answers, spans = ((), ()) if qa.get("is_impossible") else _answers(qa, where, paragraph.text)
    language: Language = "zh" if _HAN.search(text) else "en"
    return Question(
        id=_unique(str(qa.get("id", where)), ids),
        kind="factual" if answers else "absent",
        language=language,
        question=text,
        history=(),
        answers=answers,
        spans=spans,
        document_id=paragraph.id,
    )


def _unique(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken; the result is added to ``taken``."""
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name}#{count}"
    taken.add(free)
    return free


def _answers(
    qa: Mapping[str, object], where: str, context: str
) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """The distinct answers and their ranges. An answer that does not stand in the paragraph word
    for word is kept, without a range."""
    texts: dict[str, None] = {}
    spans: dict[tuple[int, int], None] = {}
    for index, item in enumerate(_list(qa, "answers", where)):
        here = f"{where}.answers[{index}]"
        answer = _object(item, here)
        text = _text(answer, "text", here)
        if not text.strip():
            continue
        texts[text] = None
        start = answer.get("answer_start")
        found = _locate(context, text, start if isinstance(start, int) else -1)
        if found is not None:
            spans[found, found + len(text)] = None
    return tuple(texts), tuple(spans)


def _locate(context: str, text: str, start: int) -> int | None:
    """Where the text stands: at ``start`` if it does, else the occurrence nearest to it."""
    if start >= 0 and context.startswith(text, start):
        return start
    places: list[int] = []
    place = context.find(text)
    while place >= 0:
        places.append(place)
        place = context.find(text, place + 1)
    return min(places, key=lambda at: abs(at - start), default=None)


def _object(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is not an object")
    return value


def _list(record: Mapping[str, object], key: str, where: str) -> Sequence[object]:
    value = record.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{where} has no list {key!r}")
    return value


def _text(record: Mapping[str, object], key: str, where: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{where} has no text {key!r}")
    return value
