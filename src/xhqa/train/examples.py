"""SQuAD-style files → training examples, as the reader will see their text in use."""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xhqa.errors import InputError
from xhqa.load.layout import repair
from xhqa.read.edges import concise
from xhqa.script import fold
from xhqa.types import Document

_SENTENCE_END = re.compile(r"[。！？!?；;\n]+[”’」』\"）)]*|(?<=[a-z0-9)])\.(?=\s)")
# What reading a file that is something else raises.
_MALFORMED = OSError, ValueError, KeyError, TypeError


@dataclass(frozen=True, slots=True)
class Example:
    """A question on a passage. ``answer`` is a half-open range of the passage, None without one."""

    id: str
    question: str
    passage: str
    answer: tuple[int, int] | None
    kind: str = "given"


def locate(passage: str, text: str, start: int) -> tuple[int, int] | None:
    """Where ``text`` stands: at ``start`` if the slice matches, otherwise at the nearest match."""
    if not text:
        return None
    places = [match.start() for match in re.finditer(re.escape(text), passage)]
    if not places:
        return None
    best = min(places, key=lambda place: abs(place - max(start, 0)))
    return best, best + len(text)


def read_squad(path: Path, without: Collection[str] = ()) -> list[Example]:
    """All questions of a SQuAD-style file; answers that are not in their passage are left out, and
    so are passages with a question whose id is one of ``without``.

    Passages are repaired, questions folded and answers made concise as they are in use: XQuAD's
    Chinese paragraphs have spaces around three answers in four, and a reader trained on these
    learns to look for them; one in eight of CMRC's begins with what its question says already.
    """
    try:
        paragraphs = _paragraphs(path)
        barred = {
            p["context"] for p in paragraphs if any(str(q["id"]) in without for q in p["qas"])
        }
        examples = []
        for paragraph in paragraphs:
            passage = paragraph["context"]
            if passage in barred:
                continue
            view = repair(Document("", "", passage, "", "", "text/plain"))
            for qa in paragraph["qas"]:
                answers = [a for a in qa.get("answers", []) if a["text"]]
                where = (
                    locate(passage, answers[0]["text"], answers[0]["answer_start"])
                    if answers
                    else None
                )
                where = where and _in_view(view.origin, *where)
                if answers and where is None:
                    continue
                question = fold(qa["question"].strip())
                where = where and concise(question, view.text, *where)
                name = f"{path.parent.name}/{path.stem}:{qa['id']}"
                examples.append(Example(name, question, view.text, where))
    except _MALFORMED as error:
        raise _not_squad(path, error) from error
    return examples


def question_ids(path: Path) -> set[str]:
    """The ids of all questions of a SQuAD-style file."""
    try:
        return {str(qa["id"]) for paragraph in _paragraphs(path) for qa in paragraph["qas"]}
    except _MALFORMED as error:
        raise _not_squad(path, error) from error


def _paragraphs(path: Path) -> list[dict[str, Any]]:
    data = json.loads(path.read_text("utf-8"))["data"]
    return [paragraph for article in data for paragraph in article["paragraphs"]]


def _not_squad(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is not a SQuAD-style JSON file: {error!r}")


def _in_view(origin: Sequence[int], start: int, end: int) -> tuple[int, int] | None:
    """The range of a view that came from the source range [start, end); None where none did."""
    first, last = bisect_left(origin, start), bisect_right(origin, end - 1)
    return (first, last) if first < last else None


def cross_lingual(first: Sequence[Example], second: Sequence[Example]) -> list[Example]:
    """Questions of ``first`` on the passages of ``second`` (parallel files, same order)."""
    if len(first) != len(second):
        raise InputError(f"not parallel: {len(first)} and {len(second)} questions")
    return [
        replace(b, id=f"{a.id}@{b.id}", question=a.question)
        for a, b in zip(first, second, strict=True)
    ]


def also_asked(examples: Sequence[Example], path: Path) -> list[Example]:
    """More questions on passages of ``examples``, such as translations, out of JSON Lines.

    ``id``: a file's stem and the id of one of its questions (``drcd_dev:1147-5-1``), whose passage
    is asked about; ``question``; ``answer`` where that question has another one, with
    ``answer_start`` in the passage as it is read; "" where the passage gives none. Rows on other
    files are passed over. Raises InputError for what is no such file, and where no row fits.
    """
    by_name = {example.id.rpartition("/")[2]: example for example in examples}
    found = []
    fits = False
    try:
        lines = path.read_text("utf-8").splitlines()
        for number, row in enumerate(json.loads(line) for line in lines if line.strip()):
            example = by_name.get(row["id"])
            if example is None:
                continue
            fits = True
            answer = example.answer
            if "answer" in row:
                answer = locate(example.passage, row["answer"], row.get("answer_start", 0))
                if answer is None and row["answer"]:
                    continue
            question = fold(row["question"].strip())
            answer = answer and concise(question, example.passage, *answer)
            name = f"{example.id}@{path.stem}:{number}"
            found.append(replace(example, id=name, question=question, answer=answer))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not JSON Lines with an id and a question each: {error!r}"
        ) from error
    if not fits:
        raise InputError(
            f"{path} names no question of these files: its ids are a file's name without .json, "
            "a colon and a question's id"
        )
    return found


def sentence_starts(text: str) -> list[int]:
    """Offsets at which sentences of ``text`` start; the first is 0."""
    return [0, *(match.end() for match in _SENTENCE_END.finditer(text) if match.end() < len(text))]
