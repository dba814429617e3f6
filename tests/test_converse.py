from __future__ import annotations

import time

import pytest

from xhqa.converse import leans, readings, standalone, unsaid
from xhqa.types import Chunk, Span, Turn, View

COMPANIES = [Turn("徐汇有多少家大模型企业？", "755家")]
LEADER = [Turn("期智研究院由谁领衔？", "姚期智")]


@pytest.mark.parametrize(
    ("question", "history", "expected"),
    [
        ("那人工智能企业呢？", COMPANIES, "徐汇有多少家人工智能企业？"),
        ("他得过什么大奖？", LEADER, "姚期智得过什么大奖？"),
        (
            "那他在清华当什么？",
            [*LEADER, Turn("他得过什么大奖？", "图灵奖")],
            "姚期智在清华当什么？",
        ),
        (
            "那里迎来了哪些项目？",
            [Turn("徐汇最南端是哪个镇？", "华泾镇")],
            "华泾镇迎来了哪些项目？",
        ),
        (
            "占全市多少？",
            [Turn("徐汇有多少个备案大模型？", "64个")],
            "徐汇有个备案大模型，占全市多少？",
        ),
        (
            "And in 2021?",
            [Turn("How many cars were sold in 2020?", "12")],
            "in 2021: How many cars were sold in 2020?",
        ),
        (
            "Where was she born?",
            [Turn("Who wrote the report?", "Ada Lovelace")],
            "Where was Ada Lovelace born?",
        ),
    ],
)
def test_what_is_left_out_is_filled_in(question: str, history: list[Turn], expected: str) -> None:
    assert standalone(question, history) == expected


REVENUE = [Turn("2022年的营业收入是多少？", "5亿")]
FOUNDER = [Turn("谁创立了华为？", "任正非")]


@pytest.mark.parametrize(
    ("question", "history", "expected"),
    [
        # A name that begins with a numeral is no number.
        ("它有多少员工？", [Turn("最大的企业是哪家？", "百度")], "百度有多少员工？"),
        ("它有多少员工？", [Turn("百度有哪些部门？", "三百多个")], "百度有多少员工？"),
        (
            "Who married her?",
            [Turn("Who wrote the report?", "Ada Lovelace")],
            "Who married Ada Lovelace?",
        ),
        # Only the period is another.
        ("那2023年呢？", [Turn("华为2022年的收入是多少？", "1元")], "华为2023年的收入是多少？"),
        ("下半年呢？", [Turn("公司上半年营收多少？", "1元")], "公司下半年营收多少？"),
        ("浦东呢？", [Turn("徐汇2022年的收入是多少？", "1元")], "浦东2022年的收入是多少？"),
        # 几 and 吧 ask nothing inside of a word.
        ("占多少？", [Turn("几内亚的人口是多少？", "1")], "几内亚的人口，占多少？"),
        # Something of whom a pronoun stands for.
        ("他的工资呢？", [Turn("公司的总经理是谁？", "张三")], "张三的工资？"),
        ("那里的人口呢？", [Turn("最南端是哪个镇？", "华泾镇")], "华泾镇的人口？"),
        ("那不勒斯呢？", [Turn("罗马有多少人口？", "300万")], "那不勒斯有多少人口？"),
        # Numbers are swapped with what they are counted by, names for names.
        ("2023年呢？", REVENUE, "2023年的营业收入是多少？"),
        ("净利润呢？", [*REVENUE, Turn("2023年呢？", "6亿")], "2023年的净利润是多少？"),
        ("第4条呢？", [Turn("第3条规定了什么？", "罚款")], "第4条规定了什么？"),
        ("5月2日呢？", [Turn("5月1日有什么活动？", "放映")], "5月2日有什么活动？"),
        ("面积呢？", [Turn("北京有多少人口？", "2000万")], "北京有多少面积？"),
        ("上海呢？", [Turn("北京有多少人口？", "2000万")], "上海有多少人口？"),
        ("利润呢？", [Turn("公司的收入是多少？", "5亿")], "公司的利润是多少？"),
        # What a pronoun cannot stand for: a place, somebody, a date, a definition.
        ("它有多少员工？", [Turn("公司的总部在哪里？", "上海")], "公司有多少员工？"),
        ("它哪一年出版？", [Turn("小说的作者是谁？", "鲁迅")], "小说哪一年出版？"),
        ("它的总部在哪里？", [Turn("甲公司哪一年成立？", "1998年")], "甲公司的总部在哪里？"),
        ("它有什么优点？", [Turn("什么是区块链？", "一种账本")], "区块链有什么优点？"),
        ("他写了什么？", [Turn("鲁迅是谁？", "文学家")], "鲁迅写了什么？"),
        ("他多大？", [Turn("谁是校长？", "李四")], "李四多大？"),
        (
            "When does it open?",
            [Turn("Where is the museum?", "高安路")],
            "When does the museum open?",
        ),
        ("它有多少员工？", FOUNDER, "华为有多少员工？"),
        (
            "When was it set up?",
            [Turn("Who leads the Institute (研究院)?", "张三")],
            "When was the Institute (研究院) set up?",
        ),
        ("Where did he meet 张三?", FOUNDER, "Where did 任正非 meet 张三?"),
        # Whom it stands for is named in the question, or it is part of a name.
        ("李白为什么离开他的家乡？", FOUNDER, "李白为什么离开他的家乡？"),
        ("犹他州的首府在哪里？", FOUNDER, "犹他州的首府在哪里？"),
        ("How does the firm protect its data?", FOUNDER, "How does the firm protect its data?"),
        ("Are there any subsidiaries?", FOUNDER, "Are there any subsidiaries?"),
    ],
)
def test_what_ordinary_follow_ups_mean(question: str, history: list[Turn], expected: str) -> None:
    assert standalone(question, history) == expected


def test_a_possessor_may_be_whom_the_question_before_is_about() -> None:
    found = readings("他的儿子呢？", [Turn("鲁迅的妻子是谁？", "许广平")])
    assert found[:2] == ("许广平的儿子？", "鲁迅的儿子是谁？")


def test_long_white_space_is_gone_through_once() -> None:
    blank = "and" + " " * 900 + "a\nb"
    began = time.process_time()
    readings(blank, [Turn(blank, None)] * 20)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "question",
    [
        "徐汇一共加装了多少台电梯？",
        "法国的首都是哪座城市？",
        "其他城市的人口是多少？",
        "那不勒斯有多少人口？",
        "小确幸指什么？",
        "什么是核爆点？",
        "大时代是什么意思？",
        "Who is Yao Qizhi?",
        "What is AI Tower?",
        "Does the IT department exist?",
        "Is it raining in Beijing?",
        "So far, how many lifts has Xuhui added?",
        "“生活盒子”覆盖了多少个街镇？",
        "Which university did Ada Lovelace attend and who paid for her books?",
        "What share of the city's registered models does Xuhui account for?",
    ],
)
def test_questions_that_stand_alone_are_left_alone(question: str) -> None:
    assert readings(question, COMPANIES) == ()


def test_what_earlier_turns_add_stays_short() -> None:
    history = [Turn("很长的问题" * 190, None)] * 20
    assert all(len(reading) < 300 for reading in readings("它呢？有几个？", history))


def test_without_history_nothing_is_filled_in() -> None:
    assert readings("那它呢？", []) == ()


@pytest.mark.parametrize("question", ["呢？", "？", "它", "那", "and", "And?", "😀", "他" * 500])
def test_odd_questions_do_not_fail(question: str) -> None:
    for history in (COMPANIES, [Turn("？", None)], [Turn("it?", "")], [Turn("它呢？", "它")] * 20):
        for reading in readings(question, history):
            assert reading.strip()


def test_a_question_that_is_only_short_may_stand_alone() -> None:
    history = [Turn("谁领衔期智研究院？", "姚期智")]
    for question in ("模速空间用了多少天建成？", "店里周六几点关门？", "今天天气怎么样？"):
        assert not leans(question, history)
        assert standalone(question, history) == question
    for question in ("占全市多少？", "那模速空间呢？", "他得过什么奖？"):
        assert leans(question, history)
    # What was not taken up is not handed on.
    chain = [*history, Turn("店里周六几点关门？", None)]
    assert "期智" not in standalone("那周日呢？", chain)


def test_a_sentence_is_no_name() -> None:
    history = [Turn("乙村种植什么？", "乙村种植水稻和小麦。")]
    assert standalone("它的学校建于哪年？", history) == "乙村的学校建于哪年？"


def test_what_was_answered_before_is_hardly_the_answer_again() -> None:
    text = "上游要素层、中游模型层。涨幅为75%。"
    view = View(text, range(len(text)))
    chunk = Chunk("a", "a", (), 0, len(text), view, ((0, 12), (12, len(text))))

    def span(words: str, score: float) -> Span:
        at = text.index(words)
        return Span(chunk, at, at + len(words), score, null_margin=score)

    spans = [span("要素层", 9.0), span("模型层", 4.0), span("75%", 3.5)]
    asked = "中游又是哪一层？"
    assert unsaid(asked, spans, []) == spans
    history = [Turn("涨了多少？", "75 %"), Turn("上游是哪一层？", "要素层。"), Turn("谁？", None)]
    found = unsaid(asked, spans, history)
    assert [(s.score, s.null_margin) for s in found] == [(4.0, 4.0), (3.0, 9.0), (-2.5, 3.5)]
    # Who asks the same again gets the same answer, but not that of another turn.
    again = unsaid("那上游到底是哪一层？", spans, history)
    assert [s.score for s in again] == [9.0, 4.0, -2.5]


@pytest.mark.parametrize("odd", ["曌" * 999, "那" + "行" * 998 + "呢", "曌行" * 499])
def test_no_question_or_history_takes_long_to_complete(odd: str) -> None:
    history = [Turn(f"{number}{odd}"[:1000]) for number in range(20)]
    began = time.process_time()
    readings(odd + "？", history)
    leans(odd + "？", history)
    # It took minutes.
    assert time.process_time() - began < 10.0
