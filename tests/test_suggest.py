from __future__ import annotations

from collections.abc import Callable

import pytest

from xhqa.pipeline import Pipeline
from xhqa.suggest import SHOWN, Draft, Examples
from xhqa.types import Answer, Citation

MakePipeline = Callable[[dict[str, str | bytes]], Pipeline]


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        ("目前徐汇已集聚了500余家人工智能企业、755家大模型企业。", "徐汇已集聚了多少家人工智能企业？", "500余"),
        ("2022年,徐汇成为上海首个城区,居民都很高兴。", "哪一年徐汇成为上海首个城区？", "2022"),
        ("乙村的学校建于1952年。", "乙村的学校建于哪一年？", "1952"),
        ("旧住房综合修缮面积达 1,150.5 万平方米。", "旧住房综合修缮面积达多少平方米？", " 1,150.5 万"),
        ("备案大模型占全市总量61%。", "备案大模型占全市总量多少？", "61%"),
        ("甲镇的古代石桥有三十座。", "甲镇的古代石桥有多少座？", "三十"),
        ("鲁班锁是一种不用钉子的木工玩具。", "鲁班锁是什么？", "鲁班锁是一种不用钉子的木工玩具。"),
        ("The stone bridge has 12 arches over the river.", "The stone bridge has how many arches over the river?", "12"),
        ("The village school was built in 1952.", "The village school was built in which year?", "1952"),
        ("Limestone is a soft rock of ancient shells.", "What is Limestone?", "Limestone is a soft rock of ancient shells"),
    ],
)  # fmt: skip
def test_drafts(sentence: str, question: str, answer: str, make_pipeline: MakePipeline) -> None:
    # An emoji before: offsets are code points.
    pipeline = make_pipeline({"甲.txt": f"😀村庄很小。\n{sentence}\n"})
    found = {
        draft.question: pipeline.document("甲").text[draft.start_char_index : draft.end_char_index]
        for draft in pipeline.drafts("甲")
    }
    assert found == {question: answer}


@pytest.mark.parametrize(
    "sentence",
    [
        "它有300个房间和一个花园。",
        "这里的村庄共有300个大小房间。",
        "甲镇300个村庄有500个学校。",
        "他是村里的老师。",
        "村庄很小。",
        "It has 12 arches over the river there.",
        "Why has the stone bridge 12 arches?",
    ],
)
def test_sentences_that_make_no_question(sentence: str, make_pipeline: MakePipeline) -> None:
    assert make_pipeline({"甲.txt": f"{sentence}\n"}).drafts("甲") == ()


class Asked:
    """A pipeline whose answers are those it is told to give."""

    def __init__(self, pipeline: Pipeline, refused: set[str], elsewhere: set[str]) -> None:
        self.pipeline, self.refused, self.elsewhere = pipeline, refused, elsewhere
        self.documents, self.drafts = pipeline.documents, pipeline.drafts
        self.asked: list[str] = []

    def ask(self, question: str) -> Answer:
        self.asked.append(question)
        if question in self.refused:
            return Answer(question, question, None, 0.0, "no_evidence")
        at = 0 if question in self.elsewhere else None
        made = [d for i in self.documents() for d in self.drafts(i.id) if d.question == question]
        start = made[0].start_char_index if at is None else at
        cited = Citation(1, made[0].document_id, "", (), None, "x", start, start + 1, "x", start, 1)
        return Answer(question, question, "x", 0.9, citations=(cited,))


def test_examples_are_only_what_is_answered_from_their_own_place(
    make_pipeline: MakePipeline,
) -> None:
    text = (
        "村庄在山里面很安静。乙村的学校建于1952年。甲镇的古代石桥有30座。江苏的水稻产量占全国61%。"
    )
    pipeline = make_pipeline({"甲.txt": text})
    service = Asked(pipeline, {"乙村的学校建于哪一年？"}, {"甲镇的古代石桥有多少座？"})
    examples = Examples(service)
    assert examples.known() is None
    assert [draft.question for draft in examples.get()] == ["江苏的水稻产量占全国多少？"]
    assert len(service.asked) == 3
    examples.get()
    assert len(service.asked) == 3, "found out once"
    assert examples.known() == examples.get()
    pipeline.add("新.txt", "四川的茶馆建于1931年。".encode())
    assert examples.known() is None, "the index has changed"
    assert "四川的茶馆建于哪一年？" in [draft.question for draft in examples.get()]


def test_no_more_than_are_shown(make_pipeline: MakePipeline) -> None:
    text = "".join(
        f"{name}村的学校建于19{n}年。" for n, name in enumerate("东南西北中上下前后", 10)
    )
    examples = Examples(Asked(make_pipeline({"甲.txt": text}), set(), set()))
    assert len(examples.get()) == SHOWN


def test_an_answer_from_another_document_is_none() -> None:
    draft = Draft("?", "甲", 3, 5)
    for document, start, end, right in [
        ("甲", 4, 9, True),
        ("甲", 5, 9, False),
        ("乙", 3, 5, False),
    ]:
        cited = Citation(1, document, "", (), None, "", start, end, "", start, 1)
        assert draft.is_answered_by(Answer("?", "?", "x", 1, citations=(cited,))) is right


def test_a_long_document_is_drawn_from_all_over(make_pipeline: MakePipeline) -> None:
    text = "".join(f"## 第{n}节\n\n乙村的学校{chr(0x5200 + n)}建于1952年。\n\n" for n in range(300))
    found = make_pipeline({"长.md": text}).drafts("长")
    assert 20 <= len(found) <= 60
    starts = [draft.start_char_index for draft in found]
    assert starts == sorted(starts)
    assert starts[-1] > len(text) * 0.9
