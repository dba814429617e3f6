from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from xhqa.errors import InputError
from xhqa.feedback import Feedback, FeedbackFile
from xhqa.types import Answer, Citation, Turn

CITED = Citation(1, "甲", "甲镇", (), None, "三十座", 5, 8, "有三十座桥。", 4, 0.9)
ANSWER = Answer("几座？", "桥有几座？", "三十座", 0.9, citations=(CITED,))
REFUSAL = Answer("谁？", "谁？", None, 0.1, "no_evidence")


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    file = FeedbackFile(tmp_path / "new" / "f.sqlite")
    assert file.all() == ()
    assert not file.path.exists(), "made with the first verdict"
    kept = (
        Feedback.of(ANSWER, (Turn("桥呢？", None),), "wrong", " 四十座 "),
        Feedback.of(REFUSAL, (), "right", "  "),
    )
    for entry in kept:
        file.add(entry)
    assert FeedbackFile(file.path).all() == kept
    assert kept[0] == Feedback(
        "几座？", (Turn("桥呢？", None),), "wrong", "四十座", "甲", "三十座", 5, 8
    )
    assert kept[1].right_answer is None
    assert kept[1].document_id is None


def test_from_several_threads(tmp_path: Path) -> None:
    file = FeedbackFile(tmp_path / "f.sqlite")
    threads = [
        threading.Thread(target=file.add, args=(Feedback(str(n), (), "right"),)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry.question for entry in file.all()) == list("01234567")


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    path.write_bytes(b"not a database, and long enough to be seen as none" * 40)
    with pytest.raises(InputError, match=r"f\.sqlite.*XHQA_FEEDBACK_FILE"):
        FeedbackFile(path).all()
    with pytest.raises(InputError, match="XHQA_FEEDBACK_FILE"):
        FeedbackFile(path / "below").add(Feedback("?", (), "right"))
    other = tmp_path / "later.sqlite"
    with closing(sqlite3.connect(other)) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(InputError, match="format 9"):
        FeedbackFile(other).all()
