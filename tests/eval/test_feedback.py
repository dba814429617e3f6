from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import HashEncoder
from xhqa_eval import command
from xhqa_eval.feedback import questions_of, write_questions
from xhqa_eval.questions import load_questions

from xhqa.config import Settings
from xhqa.errors import InputError
from xhqa.feedback import Feedback, FeedbackFile
from xhqa.pipeline import Pipeline
from xhqa.types import Turn

MakePipeline = Callable[[dict[str, str | bytes]], Pipeline]

TOWNS: dict[str, str | bytes] = {
    "甲.txt": "😀甲镇有三十座桥，都是石 桥。",
    "乙.txt": "乙村的学校建于1952年。也有石桥。",
}
ASKED = Feedback("几座？", (), "right", None, "甲", "三十座", 4, 7)


def test_verdicts_become_questions(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    pipeline = make_pipeline(TOWNS)
    feedback = [
        replace(ASKED, verdict="wrong"),
        ASKED,
        Feedback("誰建的？", (), "right"),
        Feedback(
            "Which kind?", (Turn("几座？", "三十座"),), "wrong", "石桥", "乙", "1952年", 6, 11
        ),
        Feedback("什么桥？", (), "wrong", "石桥", "甲", "三十座", 4, 7),
    ]
    questions, left_out = questions_of(feedback, pipeline)
    assert left_out == []
    made = [(q.kind, q.language, q.answers, q.spans, q.document_id) for q in questions]
    assert made == [
        ("factual", "zh", ("三十座",), ((4, 7),), "甲"),
        ("absent", "zh-Hant", (), (), None),
        ("follow_up", "en", ("石桥",), ((15, 17),), "乙"),
        ("factual", "zh", ("石桥",), ((11, 14),), "甲"),
    ]
    path = tmp_path / "new" / "questions.jsonl"
    write_questions(path, questions)
    assert load_questions(path) == questions


def test_what_makes_no_question_says_why(make_pipeline: MakePipeline) -> None:
    feedback = [
        replace(ASKED, verdict="wrong"),
        Feedback("多长？", (), "wrong", "两里", "丙", "一里", 0, 2),
    ]
    assert questions_of(feedback, make_pipeline(TOWNS)) == (
        [],
        ["几座？: wrong, but the right answer was not given", "多长？: no document holds '两里'"],
    )


def test_the_command(
    make_pipeline: MakePipeline,
    settings: Settings,
    encoder: HashEncoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_pipeline(TOWNS)
    settings = settings.model_copy(update={"feedback_file": tmp_path / "f.sqlite"})
    monkeypatch.setattr(command, "encoder_of", lambda settings, notify: encoder)
    said: list[str] = []
    with pytest.raises(InputError, match=r"f\.sqlite"):
        command.run_feedback(settings, tmp_path / "out", said.append)
    file = FeedbackFile(settings.feedback_file)
    file.add(replace(ASKED, question="甲镇有几座桥？"))
    file.add(replace(ASKED, question="不知", verdict="wrong"))
    table = command.run_feedback(settings, tmp_path / "out", said.append)
    assert str(tmp_path / "out") in table
    assert said == ["left out: 不知: wrong, but the right answer was not given"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))["n"] == 1
    assert len(load_questions(tmp_path / "out" / "questions.jsonl")) == 1
