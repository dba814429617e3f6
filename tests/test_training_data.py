"""What ``training/`` holds is what ``train-reader`` reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

TRAINING = Path(__file__).parent.parent / "training"
README = (TRAINING / "README.md").read_text("utf-8")


def test_written_answers_stand_in_their_passages() -> None:
    data = json.loads((TRAINING / "written.json").read_text("utf-8"))["data"]
    paragraphs = [p for article in data for p in article["paragraphs"]]
    questions = [(p["context"], qa) for p in paragraphs for qa in p["qas"]]
    assert len({qa["id"] for _, qa in questions}) == len(questions)
    for context, qa in questions:
        assert bool(qa["answers"]) != qa.get("is_impossible", False), qa
        for answer in qa["answers"]:
            start = answer["answer_start"]
            assert context[start : start + len(answer["text"])] == answer["text"] != "", qa
    assert f"{len(paragraphs):,} made-up passages" in README
    assert f"{len(questions):,} questions on them" in README


def test_rows_name_a_question_of_a_file_and_ask() -> None:
    for name, counted in (("questions_en", "questions of DRCD"), ("asked", "new questions")):
        lines = (TRAINING / f"{name}.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        assert f"{len(rows):,} {counted}" in README
        assert len(set(lines)) == len(lines)
        for row in rows:
            assert re.fullmatch(r"\w+:\S+", row["id"]), row
            assert row["question"].strip(), row
            assert (row.keys() >= {"answer", "answer_start"}) == bool(row.get("answer")), row
