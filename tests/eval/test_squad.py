"""SQuAD-style files, with the faults that the published ones have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from xhqa_eval.squad import SquadParagraph, load_squad

from xhqa.errors import InputError

CONTEXT = "徐汇有755家企业，西岸有755家，滨江有12家。"


def _qa(question: str = "有多少家？", **more: object) -> dict[str, object]:
    return {"id": "a", "question": question, "answers": [], **more}


def _answer(text: str, start: object) -> dict[str, object]:
    return {"text": text, "answer_start": start}


def _squad(*paragraphs: tuple[str, list[dict[str, object]]], title: str = "徐汇") -> object:
    return {
        "data": [
            {"title": title, "paragraphs": [{"context": text, "qas": qas}]}
            for text, qas in paragraphs
        ]
    }


def _file(folder: Path, content: object, name: str = "squad.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def _spans(folder: Path, *answers: dict[str, object]) -> tuple[tuple[int, int], ...]:
    path = _file(folder, _squad((CONTEXT, [_qa(answers=list(answers))])))
    return load_squad(path)[1][0].spans


def test_a_right_start_is_kept(tmp_path: Path) -> None:
    assert CONTEXT[13:17] == "755家"
    assert _spans(tmp_path, _answer("755家", 13)) == ((13, 17),)


@pytest.mark.parametrize(
    ("start", "span"),
    [
        (-1, (3, 7)),  # DuReader-robust: no start at all, so the first
        (0, (3, 7)),
        (12, (13, 17)),  # CMRC: some starts are off; the nearest, not the first
        (999, (13, 17)),
        (None, (3, 7)),
        ("13", (3, 7)),
    ],
)
def test_a_wrong_start_gives_the_nearest_occurrence(
    tmp_path: Path, start: object, span: tuple[int, int]
) -> None:
    assert _spans(tmp_path, _answer("755家", start)) == (span,)


def test_an_answer_that_is_not_there_keeps_its_text(tmp_path: Path) -> None:
    qa = _qa(answers=[_answer("七百家", 3), _answer("755家", 3), _answer("755家", 3)])
    question = load_squad(_file(tmp_path, _squad((CONTEXT, [qa]))))[1][0]
    assert question.answers == ("七百家", "755家")
    assert question.spans == ((3, 7),)
    assert (question.kind, question.answerable) == ("factual", True)


@pytest.mark.parametrize(
    "more",
    [
        {"answers": []},
        {"answers": [{"text": "", "answer_start": -1}]},
        {"answers": [{"text": "755家", "answer_start": 3}], "is_impossible": True},
    ],
)
def test_unanswerable(tmp_path: Path, more: dict[str, object]) -> None:
    question = load_squad(_file(tmp_path, _squad((CONTEXT, [{**_qa(), **more}]))))[1][0]
    assert (question.kind, question.answers, question.spans) == ("absent", (), ())
    assert question.document_id == "p00001"


def test_paragraphs_once_and_ids_apart(tmp_path: Path) -> None:
    content = _squad((CONTEXT, [_qa()]), ("别的", [_qa(), _qa(id="a#2")]), (CONTEXT, [_qa()]))
    paragraphs, questions = load_squad(_file(tmp_path, content))
    assert paragraphs == [
        SquadParagraph("p00001", "徐汇", CONTEXT),
        SquadParagraph("p00002", "徐汇", "别的"),
    ]
    assert [question.document_id for question in questions] == [
        "p00001",
        "p00002",
        "p00002",
        "p00001",
    ]
    ids = [question.id for question in questions]
    assert ids[:2] == ["a", "a#2"]
    assert len(set(ids)) == 4


def test_a_paragraph_without_title_is_called_by_its_id(tmp_path: Path) -> None:
    paragraphs, _ = load_squad(_file(tmp_path, _squad((CONTEXT, [_qa()]), title="")))
    assert paragraphs[0].title == "p00001"


def test_language_by_the_question(tmp_path: Path) -> None:
    qas = [_qa("How many?"), _qa("徐汇 AI?"), _qa("𠮷在哪")]
    _, questions = load_squad(_file(tmp_path, _squad((CONTEXT, qas))))
    assert [question.language for question in questions] == ["en", "zh", "zh"]


def test_questions_from_a_parallel_file(tmp_path: Path) -> None:
    here = _squad((CONTEXT, [_qa("多少？", answers=[_answer("12家", 21)]), _qa("谁？")]))
    there = _squad(("In Xuhui", [_qa("How many?", answers=[_answer("12", 0)]), _qa("Who?")]))
    paragraphs, questions = load_squad(
        _file(tmp_path, here), _file(tmp_path, there, "english.json")
    )
    assert [paragraph.text for paragraph in paragraphs] == [CONTEXT]
    assert [(q.question, q.language, q.answers) for q in questions] == [
        ("How many?", "en", ("12家",)),
        ("Who?", "en", ()),
    ]


def test_a_parallel_file_of_another_length_names_both(tmp_path: Path) -> None:
    here = _file(tmp_path, _squad((CONTEXT, [_qa(), _qa()])))
    there = _file(tmp_path, _squad((CONTEXT, [_qa()])), "other.json")
    with pytest.raises(InputError) as caught:
        load_squad(here, there, limit=1)
    assert f"{here} has 2 questions but {there} has 1" in str(caught.value)


def test_the_limit_is_of_questions_not_of_paragraphs(tmp_path: Path) -> None:
    path = _file(tmp_path, _squad((CONTEXT, [_qa(), _qa()]), ("别的", [_qa()])))
    paragraphs, questions = load_squad(path, limit=1)
    assert (len(paragraphs), len(questions)) == (2, 1)
    with pytest.raises(InputError, match="at least 1"):
        load_squad(path, limit=0)


@pytest.mark.parametrize("other", [" ", "谁" * 1001])
def test_a_question_that_cannot_be_asked_is_left_out(tmp_path: Path, other: str) -> None:
    path = _file(tmp_path, _squad((CONTEXT, [_qa(other), _qa("谁？")])))
    assert [question.question for question in load_squad(path)[1]] == ["谁？"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "the file is not an object"),
        ({"version": "1"}, "the file has no list 'data'"),
        ({"data": [7]}, "data[0] is not an object"),
        ({"data": [{}]}, "data[0] has no list 'paragraphs'"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, "data[0].paragraphs[0] has no text 'context'"),
        ({"data": [{"paragraphs": [{"context": "x"}]}]}, "paragraphs[0] has no list 'qas'"),
        (_squad(("x", [{"id": "a", "answers": []}])), "qas[0] has no text 'question'"),
        # a test split without answers must not pass for one of unanswerable questions
        (_squad(("x", [{"id": "a", "question": "?"}])), "qas[0] has no list 'answers'"),
        (_squad(("x", [_qa(answers=[{}])])), "answers[0] has no text 'text'"),
        ({"data": []}, "no questions in it"),
    ],
)
def test_names_what_is_missing(tmp_path: Path, content: object, message: str) -> None:
    path = _file(tmp_path, content)
    with pytest.raises(InputError) as caught:
        load_squad(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_file_that_is_not_json(tmp_path: Path) -> None:
    path = tmp_path / "squad.json"
    path.write_text("徐汇", encoding="utf-8")
    with pytest.raises(InputError, match="not JSON"):
        load_squad(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_squad(tmp_path / "nothing.json")
