"""Files of questions, and what is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from train_support import PASSAGE

from xhqa.errors import InputError
from xhqa.train.command import hold_out, read_examples
from xhqa.train.examples import Example, cross_lingual, locate, read_squad


def test_locate_takes_the_nearest_place() -> None:
    assert locate("甲乙甲乙甲", "甲", 2) == (2, 3)
    assert locate("甲乙甲乙甲", "甲", 9) == (4, 5)
    assert locate("甲乙甲乙甲", "乙", -1) == (1, 2)
    assert locate("甲乙", "丙", 0) is None


def test_read_squad(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    questions = [
        {"id": "1", "question": "几座？", "answers": [{"text": "三十座", "answer_start": 0}]},
        {"id": "2", "question": "谁？", "answers": [{"text": "", "answer_start": -1}]},
        {"id": "3", "question": "哪？", "answers": [{"text": "不在里面", "answer_start": 3}]},
    ]
    data = {"data": [{"paragraphs": [{"context": PASSAGE, "qas": questions}]}]}
    path.write_text(json.dumps(data))
    first, second = read_squad(path)
    assert first.answer is not None
    assert first.passage[slice(*first.answer)] == "三十座"
    assert second.answer is None
    path.write_text("{}")
    with pytest.raises(InputError, match=r"a\.json is not a SQuAD-style"):
        read_squad(path)


def test_passages_are_trained_on_as_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    context = "鎮上有 三十座 橋，\n長 ２ 公里。"
    asked = {"三十座": "鎮上有幾座橋？", "２ 公里": "多長？"}
    questions = [
        {
            "id": question,
            "question": f" {question}",
            "answers": [{"text": words, "answer_start": context.index(words)}],
        }
        for words, question in asked.items()
    ]
    data = {"data": [{"paragraphs": [{"context": context, "qas": questions}]}]}
    path.write_text(json.dumps(data))
    found = read_squad(path)
    assert {e.passage for e in found} == {"镇上有三十座桥，长 2 公里。"}
    assert [(e.question, e.passage[slice(*e.answer)]) for e in found if e.answer] == [
        ("镇上有几座桥？", "三十座"),
        ("多长？", "2 公里"),
    ]


def test_parallel_files_are_crossed(tmp_path: Path) -> None:
    texts = {
        "zh": ("有几座桥？", "有三十座桥。", "三十座"),
        "en": ("How many?", "It has 30.", "30"),
    }
    for name, (question, context, answer) in texts.items():
        at = context.index(answer)
        qa = {"id": "1", "question": question, "answers": [{"text": answer, "answer_start": at}]}
        data = {"data": [{"paragraphs": [{"context": context, "qas": [qa]}]}]}
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.json").write_text(json.dumps(data))
    zh, en = (tmp_path / name / "train.json" for name in ("zh", "en"))
    found = read_examples([zh, en])
    assert len({example.id for example in found}) == 4
    assert {(e.question, e.passage) for e in found} == {
        (q, p) for q in ("有几座桥？", "How many?") for p in ("有三十座桥。", "It has 30.")
    }
    twice = read_examples([zh] * 2 + [en] * 2)
    assert sorted(map(str, twice)) == sorted(map(str, found * 2))
    with pytest.raises(InputError, match="not parallel"):
        cross_lingual(found, found[:1])


def test_paragraphs_that_are_measured_on_are_left_out_in_any_wording(tmp_path: Path) -> None:
    def written(name: str, paragraphs: dict[str, list[str]]) -> Path:
        data = [
            {
                "context": context,
                "qas": [
                    {"id": i, "question": "几座？", "answers": [{"text": "三", "answer_start": 1}]}
                    for i in ids
                ],
            }
            for context, ids in paragraphs.items()
        ]
        (tmp_path / name).write_text(json.dumps({"data": [{"paragraphs": data}]}))
        return tmp_path / name

    train = written("train.json", {"桥三座。": ["1", "2"], "塔三座。": ["3"], "楼三座。": ["4"]})
    measured = written("valid.json", {"有三桥。": ["2"], "井三口。": ["9"]})
    other = written("other.json", {"有三座塔。": ["3"]})
    assert {e.passage for e in read_examples([train])} == {"桥三座。", "塔三座。", "楼三座。"}
    found = read_examples([train], (), [measured])
    assert [(e.passage, e.id[-2:]) for e in found] == [("塔三座。", ":3"), ("楼三座。", ":4")]
    assert [e.passage for e in read_examples([train], (), [measured, other])] == ["楼三座。"]
    # 9's own answer does not stand in its passage, and 5's neither.
    unread = written("unread.json", {"楼两座。": ["5", "9"], "亭三座。": ["6"]})
    assert [e.passage for e in read_examples([unread])] == ["亭三座。"]
    more = written("more.json", {"井三座。": ["9"], "庙三座。": ["10"]})
    assert [e.passage for e in read_examples([more], (), [unread])] == ["庙三座。"]
    mixed = json.loads(more.read_text())
    mixed["data"][0]["paragraphs"][0]["qas"] += [
        {"id": 11, "question": "几口？", "answers": [{"text": "两口", "answer_start": 0}]}
    ]
    more.write_text(json.dumps(mixed))
    eleven = written("eleven.json", {"井是三口。": ["11"]})
    assert [e.passage for e in read_examples([more], (), [eleven])] == ["庙三座。"]


def test_more_is_asked_about_the_passages(tmp_path: Path) -> None:
    qas = [
        {"id": "7", "question": "有几座桥？", "answers": [{"text": "三十座", "answer_start": 1}]},
        {"id": "8", "question": "有几条河？", "answers": []},
    ]
    for name in ("one", "other"):
        data = {"data": [{"paragraphs": [{"context": "有三十座桥。", "qas": qas}]}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    rows = [
        {"id": "one:7", "question": " How many bridges? "},
        {"id": "one:7", "question": "什么有三十座？", "answer": "桥"},
        {"id": "other:8", "question": "幾條河？", "answer": ""},
        {"id": "other:8", "question": "几条河？", "answer": "五条"},
        {"id": "third:8", "question": "几条河？"},
    ]
    more = tmp_path / "more.jsonl"
    more.write_text("\n\n".join(map(json.dumps, rows)))
    files = [tmp_path / "one.json", tmp_path / "other.json", tmp_path / "one.json"]
    plain, found = read_examples(files), read_examples(files, [more])
    assert found[: len(plain)] == plain
    assert [(e.question, e.answer) for e in found[len(plain) :]] == [
        ("How many bridges?", (1, 4)),
        ("什么有三十座？", (4, 5)),
        ("几条河？", None),
    ]
    assert len({example.id for example in found[len(plain) :]}) == 3
    more.write_text('{"id": "third:8", "question": "几条河？"}')
    with pytest.raises(InputError, match="names no question of these files"):
        read_examples(files, [more])
    more.write_text('{"id": "one:7"}')
    with pytest.raises(InputError, match="an id and a question"):
        read_examples(files, [more])


def test_held_out_passages_are_not_trained_on() -> None:
    examples = [Example(f"{n}", "?", f"第{n // 2}段", None) for n in range(60)]
    train, held = hold_out(examples, 1)
    assert len(held) == 6
    assert len(train) == 54
    assert not {e.passage for e in train} & {e.passage for e in held}
