"""The loader, and the proof that every gold span of the fixed set says what its answer says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from xhqa_eval.questions import QUESTIONS, Question, load_questions

from xhqa.errors import InputError
from xhqa.types import Turn

CORPUS = Path(__file__).parents[2] / "corpus" / "xuhui-five-years.txt"

GOOD: dict[str, object] = {
    "id": "q1",
    "kind": "follow_up",
    "language": "zh",
    "document_id": "d",
    "question": "那集聚区呢？",
    "history": [
        {"question": "有多少家？", "answer": "755家"},
        {"question": "谁？", "answer": None},
    ],
    "answers": ["西岸"],
    "spans": [[3, 5]],
}
ABSENT: dict[str, object] = {
    **GOOD,
    "id": "q2",
    "kind": "absent",
    "document_id": None,
    "history": [],
    "answers": [],
    "spans": [],
}


def _file(folder: Path, *records: dict[str, object]) -> Path:
    path = folder / "questions.jsonl"
    lines = (json.dumps(record, ensure_ascii=False) for record in records)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_reads_every_field(tmp_path: Path) -> None:
    answered, absent = load_questions(_file(tmp_path, GOOD, ABSENT))
    assert answered == Question(
        id="q1",
        kind="follow_up",
        language="zh",
        question="那集聚区呢？",
        history=(Turn("有多少家？", "755家"), Turn("谁？", None)),
        answers=("西岸",),
        spans=((3, 5),),
        document_id="d",
    )
    assert answered.answerable
    assert not absent.answerable


def test_blank_lines_byte_order_mark_and_line_separators(tmp_path: Path) -> None:
    path = _file(tmp_path, {**GOOD, "question": "一\u2028二"}, ABSENT)
    path.write_bytes(b"\xef\xbb\xbf\n" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    assert load_questions(path)[0].question == "一\u2028二"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "trivia"}, "'kind' must be one of factual, follow_up, absent, near_miss"),
        ({"language": "fr"}, "'language' must be one of"),
        ({"question": "  "}, "'question' must be a string that is not blank"),
        ({"id": 7}, "'id' must be a string"),
        ({"history": [{"answer": "755家"}]}, "'question' is missing"),
        ({"history": ["有多少家？"]}, "must be an object"),
        ({"history": [{"question": "谁？", "answer": 755}]}, "'answer' of a turn"),
        ({"answers": "西岸"}, "'answers' must be a list"),
        ({"answers": [""]}, "an answer must be a string"),
        ({"answers": []}, "needs document_id, answers and spans"),
        ({"document_id": None}, "needs document_id, answers and spans"),
        ({"spans": [[5, 3]]}, "a span must be"),
        ({"spans": [[3, 5, 7]]}, "a span must be"),
        ({"spans": [["3", "5"]]}, "a span must be"),
        ({"kind": "near_miss"}, "has no answer, but"),
        ({"id": "q2"}, "'q2' stands in line 1 too"),
    ],
)
def test_names_file_line_and_fault(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = _file(tmp_path, ABSENT, {**GOOD, **change})
    with pytest.raises(InputError) as caught:
        load_questions(path)
    assert str(caught.value).startswith(f"{path}, line 2: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("key", sorted(GOOD.keys() - {"document_id"}))
def test_names_the_missing_field(tmp_path: Path, key: str) -> None:
    path = _file(tmp_path, {name: value for name, value in GOOD.items() if name != key})
    with pytest.raises(InputError, match=f"line 1: '{key}' is missing"):
        load_questions(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "line 1: not JSON"),
        (b"[]", "line 1: not a JSON object"),
        (b"\n\n", "no questions in it"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_questions(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_questions(tmp_path / "nothing.jsonl")


def _bare(text: str) -> str:
    return "".join(text.split())


def test_every_gold_span_says_its_answer() -> None:
    # bytes, so that line ends stay what they are: offsets count them
    text = CORPUS.read_bytes().decode("utf-8")
    for question in load_questions():
        if not question.answerable:
            continue
        assert question.document_id == CORPUS.stem, question.id
        for start, end in question.spans:
            assert end <= len(text), question.id
            assert _bare(text[start:end]), question.id
        start, end = question.spans[0]
        assert _bare(text[start:end]) == _bare(question.answers[0]), question.id


def test_ids_are_unique() -> None:
    ids = Counter(question.id for question in load_questions(QUESTIONS))
    assert [name for name, count in ids.items() if count > 1] == []


def test_the_fixed_set_covers_every_kind() -> None:
    questions = load_questions()
    counts = Counter((question.kind, question.language) for question in questions)
    kinds = Counter(question.kind for question in questions)
    assert counts["factual", "zh"] >= 80
    assert counts["factual", "en"] >= 15
    assert counts["factual", "zh-Hant"] >= 10
    assert kinds["follow_up"] >= 15
    assert kinds["absent"] + kinds["near_miss"] >= 30
    assert 2 * kinds["near_miss"] >= kinds["absent"] + kinds["near_miss"]


def test_follow_ups_have_something_to_follow() -> None:
    for question in load_questions():
        assert bool(question.history) or question.kind != "follow_up", question.id
