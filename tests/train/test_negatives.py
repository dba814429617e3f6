"""Questions that their passage does not answer, and questions made after numbers."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from train_support import PASSAGE, example

from xhqa.train.cloze import asked_of_number
from xhqa.train.examples import Example
from xhqa.train.negatives import NegativeMaker, epoch_examples, retrieve_neighbours


def test_negatives_are_not_answered_by_their_passage() -> None:
    examples = [
        example("甲镇在1952年怎么了？", "建于1952年"),
        example("上海的首都北京在1986年如何？", None, "别的一段话，讲北京和上海。"),
    ]
    negatives = NegativeMaker(examples, {examples[0].id: ["别的一段话。"]})
    rng = random.Random(1)
    swapped = negatives.swapped(examples[0], rng)
    assert swapped is not None
    assert swapped.answer is None
    assert swapped.passage == PASSAGE
    assert swapped.question != examples[0].question
    assert "1952" not in swapped.question
    retrieved = negatives.retrieved(examples[0], rng)
    assert retrieved is not None
    assert retrieved.passage == "别的一段话。"
    long = example("几座桥？", "三十座", PASSAGE + "丙城在西面，也有河流经过。" * 5)
    cut = negatives.without_answer_sentence(long, rng)
    assert cut is not None
    assert "三十座" not in cut.passage
    assert cut.passage.startswith("甲镇建于1952年。乙村")


def test_a_share_that_looks_like_a_year_is_swapped_for_another_share() -> None:
    asked = example("20.8%是谁？", None, "桥梁占20.8%。")
    made = [NegativeMaker([asked], {}).swapped(asked, random.Random(seed)) for seed in range(5)]
    numbers = [float(m.question.removesuffix("%是谁？")) for m in made if m is not None]
    assert len(set(numbers)) > 2
    assert all(0.1 <= number <= 99 and number != 20.8 for number in numbers)


def test_a_thing_is_swapped_only_where_nothing_more_definite_is() -> None:
    passage = "上海有大模型企业755家，徐汇有工厂。"
    asked = [
        example("上海有多少家企业？", "755家", passage),
        example("浦东有多少座桥梁？", None, "浦东的桥梁。"),
        example("大学里有几座工厂？", None, "大学。"),
        example("黄浦江有多长？", None, "黄浦江。"),
    ]
    negatives = NegativeMaker(asked, {})
    made = [negatives.swapped(asked[0], random.Random(seed)) for seed in range(20)]
    questions = {m.question for m in made if m is not None}
    assert questions
    # 上海 is a place, 企业 a thing: only the place goes.
    assert questions <= {"浦东有多少家企业？", "黄浦江有多少家企业？"}
    bare = example("有多少家企业？", "755家", passage)
    negatives = NegativeMaker([bare, *asked[1:]], {})
    swapped = [negatives.swapped(bare, random.Random(seed)) for seed in range(20)]
    assert {m.question for m in swapped if m is not None} >= {"有多少家桥梁？"}


def test_a_question_is_asked_of_a_year_that_its_passage_does_not_speak_of() -> None:
    negatives = NegativeMaker([], {})
    for seed in range(30):
        made = negatives.dated(example("镇上有几座桥？", "三十座"), random.Random(seed))
        assert made is None or (
            made.answer is None and made.question.endswith("年，镇上有几座桥？")
        )
        assert made is None or "1952" not in made.question
    made = negatives.dated(example("How many bridges are there?", "三十座"), random.Random(1))
    assert made is not None
    assert made.question[8:] == " how many bridges are there?"
    assert negatives.dated(example("1952年如何？", "建于1952年"), random.Random(1)) is None


def test_a_question_after_a_number_is_asked_after_another_quantity() -> None:
    passage = "1952年建成的桥长300米，有三层，每天走过5000人。"
    negatives = NegativeMaker([], {})

    def made(question: str) -> set[str]:
        drawn = (
            negatives.measured(example(question, "300米", passage), random.Random(seed))
            for seed in range(60)
        )
        found = [example for example in drawn if example is not None]
        assert all(e.answer is None and e.passage == passage for e in found)
        return {e.question for e in found}

    chinese = made("桥有多少米长？")
    assert "桥有多少吨长？" in chinese
    assert made("共有几个城市？") >= {"共有几户居民？", "共有几所学校？"}
    # The passage speaks of metres and of storeys.
    assert not any("米" in question or "层" in question for question in chinese)
    english = made("How much money was spent?")
    assert "How many schools was spent?" in english
    assert not any("storeys" in question for question in english)
    assert made("谁建了这座桥？") == set()


NUMBERS = "2023年，徐汇已集聚了500余家人工智能企业、755家大模型企业。产值增长12.5%，其中3100余户居民受益于旧房改造。"


def test_a_question_is_made_after_a_number_of_a_clause() -> None:
    example = Example("1", "有什么？", NUMBERS, (8, 10))
    made = [asked_of_number(example, random.Random(seed)) for seed in range(60)]
    found = {NUMBERS[slice(*one.answer)]: one for one in made if one and one.answer}
    assert set(found) == {"500余家", "3100余户"}, "around the others there is too little"
    households = found["3100余户"].question.rstrip("？")
    assert re.fullmatch("(其中)?(多少|几)户居民.*旧房.*|(其中)?(多少|几)户.*受益.*", households)
    for one in made:
        assert one is None or not set("0123456789") & set(one.question), "no number tells on"
    assert "人工智能" in found["500余家"].question
    assert made == [asked_of_number(example, random.Random(seed)) for seed in range(60)]


@pytest.mark.parametrize(
    "passage",
    [
        "这座始建于明代的老桥全长35米。",  # the only number
        "这座始建于明代的老桥全长35米，另一座始建于清代的桥也长35米。",
        "长35米，宽20米。",
        "它的体长大约为15-20厘米左右，体宽大约为5~8厘米左右。",
        "球队在主场以3:1击败来访的对手，图书馆在8:30准时开门迎接读者。",
    ],
)
def test_no_question_is_made_after_a_number_that_others_would_not_miss(passage: str) -> None:
    example = Example("1", "有什么？", passage, (0, 1))
    assert not any(asked_of_number(example, random.Random(seed)) for seed in range(20))


def test_an_epoch_holds_the_share_of_questions_after_numbers_that_is_asked_for() -> None:
    examples = [Example(str(n), "这里有哪些企业？", NUMBERS, (8, 10)) for n in range(300)]
    maker = NegativeMaker(examples, {})
    rest = dict.fromkeys(("swapped", "dated", "retrieved", "removed", "transplanted"), 0.0)
    for share in (0.0, 0.5):
        epoch = epoch_examples(examples, maker, random.Random(4), numbers=share, **rest)
        kinds = Counter(example.kind for example in epoch)
        assert kinds["given"] == 300
        # Of NUMBERS every second number makes none.
        assert 0.3 * share * 300 <= kinds["number"] <= share * 300
        assert (kinds["measured"] > 0) == (share > 0), "each is asked after another quantity too"


def test_what_was_asked_of_one_name_is_asked_of_another() -> None:
    own = example("上海有多少座桥？", "三十座", "上海有三十座桥。")
    other = example("北京举办过哪届奥运会？", "2008年", "北京举办了2008年奥运会。")
    negatives = NegativeMaker([own, other], {})
    made = [negatives.transplanted(own, random.Random(seed)) for seed in range(20)]
    assert {(m.question, m.passage, m.answer) for m in made if m is not None} == {
        ("上海举办过哪届奥运会？", "上海有三十座桥。", None)
    }
    # Here the passage may well answer what was asked of the other.
    near = example("上海有多少座桥？", "三十座", "上海有三十座桥，举办过奥运会。")
    negatives = NegativeMaker([near, other], {})
    assert all(negatives.transplanted(near, random.Random(seed)) is None for seed in range(20))


def test_neighbours_do_not_hold_the_answer() -> None:
    examples = [
        example("镇上有几座桥？", "三十座"),
        example("镇上哪里有桥？", "东边", "镇上的东边有桥，共三十座。"),
        example("镇上谁修桥？", "石匠", "镇上的石匠修桥。"),
    ]
    neighbours = retrieve_neighbours(examples)
    assert neighbours["镇上有几座桥？"] == ["镇上的石匠修桥。"]
