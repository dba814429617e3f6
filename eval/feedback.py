"""Users' verdicts → questions of a set."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from xhqa.errors import NotFoundError
from xhqa.feedback import Feedback
from xhqa.pipeline import Pipeline
from xhqa.script import fold, has_han

from .questions import Kind, Language, Question


def questions_of(
    feedback: Sequence[Feedback], pipeline: Pipeline
) -> tuple[list[Question], list[str]]:
    """The questions that verdicts make, and of those that make none what is missing.

    A right answer becomes a question with that answer, a right refusal one without. A wrong one
    counts where the user gave the right answer and a document holds it. The last verdict on a
    question holds.
    """
    last = {(entry.question, entry.history): entry for entry in feedback}
    questions: list[Question] = []
    left_out: list[str] = []
    for number, entry in enumerate(last.values(), 1):
        made = _question(f"feedback-{number:04}", entry, pipeline)
        if isinstance(made, str):
            left_out.append(f"{entry.question}: {made}")
        else:
            questions.append(made)
    return questions, left_out


def _question(name: str, entry: Feedback, pipeline: Pipeline) -> Question | str:
    if entry.verdict == "right" and entry.cited_text is None:
        return _of(name, entry, "absent", (), (), None)
    answer = entry.cited_text if entry.verdict == "right" else entry.right_answer
    if not answer:
        return "wrong, but the right answer was not given"
    # First where the answer was cited, then anywhere.
    ids = [info.id for info in pipeline.documents()]
    ids.sort(key=lambda document_id: document_id != entry.document_id)
    for document_id in ids:
        spans = _places(pipeline, document_id, answer, entry)
        if spans:
            kind: Kind = "follow_up" if entry.history else "factual"
            return _of(name, entry, kind, (answer,), spans, document_id)
    return f"no document holds {answer!r}"


def _places(
    pipeline: Pipeline, document_id: str, answer: str, entry: Feedback
) -> tuple[tuple[int, int], ...]:
    """Where ``answer`` stands, white space and forms of letters aside."""
    try:
        text = pipeline.document(document_id).text
    except NotFoundError:
        return ()
    if (
        entry.verdict == "right"
        and document_id == entry.document_id
        and entry.start is not None
        and entry.end is not None
        and text[entry.start : entry.end] == answer
    ):
        return ((entry.start, entry.end),)
    pattern = r"\s*".join(re.escape(char) for char in fold(answer) if not char.isspace())
    return tuple(match.span() for match in re.finditer(pattern, fold(text), re.IGNORECASE))


def _of(
    name: str,
    entry: Feedback,
    kind: Kind,
    answers: tuple[str, ...],
    spans: tuple[tuple[int, int], ...],
    document_id: str | None,
) -> Question:
    language: Language = "en"
    if has_han(entry.question):
        language = "zh" if fold(entry.question) == entry.question else "zh-Hant"
    return Question(
        name, kind, language, entry.question, entry.history, answers, spans, document_id
    )


def write_questions(path: Path, questions: Sequence[Question]) -> None:
    """The questions as a file for ``xhqa eval --questions``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(
            {
                "id": question.id,
                "kind": question.kind,
                "language": question.language,
                "document_id": question.document_id,
                "question": question.question,
                "history": [
                    {"question": turn.question, "answer": turn.answer} for turn in question.history
                ],
                "answers": list(question.answers),
                "spans": [list(span) for span in question.spans],
            },
            ensure_ascii=False,
        )
        for question in questions
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
