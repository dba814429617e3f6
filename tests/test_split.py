from __future__ import annotations

import pytest

from xhqa.load import load, repair
from xhqa.split import sections, sentences, split
from xhqa.types import Chunk


def paths(text: str, name: str = "a.txt") -> list[tuple[tuple[str, ...], str]]:
    document = load(text.encode(), name)
    view = repair(document)
    return [(s.path, view.text[s.start : s.end]) for s in sections(document, view)]


def chunks(text: str, size: int, name: str = "a.txt") -> list[Chunk]:
    document = load(text.encode(), name)
    return split(document, repair(document), lambda texts: [len(t) for t in texts], size)


def test_short_lines_alone_are_headings_and_the_title_is_in_no_path() -> None:
    text = "大时代\n\n导语在这里，说了一些话。\n\n“核爆点”\n\n第一节的正文，也有一些话。\n\n“世界级”\n\n第二节的正文。"
    assert paths(text) == [
        ((), "大时代\n\n导语在这里，说了一些话。"),
        (("核爆点",), "“核爆点”\n\n第一节的正文，也有一些话。"),
        (("世界级",), "“世界级”\n\n第二节的正文。"),
    ]


def test_markdown_headings_nest() -> None:
    text = "# 报告\n前言。\n## 甲\n甲文。\n### 子\n子文。\n## 乙 ##\n乙文。\n```\n# 不是标题\n```\n"
    assert paths(text, "a.md") == [
        ((), "# 报告\n前言。"),
        (("甲",), "## 甲\n甲文。"),
        (("甲", "子"), "### 子\n子文。"),
        (("乙",), "## 乙 ##\n乙文。\n```\n# 不是标题\n```"),
    ]


@pytest.mark.parametrize(
    "code",
    [
        "```pip install x```",
        "````\n```\n# 不是标题\n````",
        "~~~\n```\n# 不是标题\n~~~",
        "```sh\n# 不是标题\n```py\n# 也不是\n```",
        "```\n# 不是标题\n`````",
    ],
)
def test_headings_behind_code_are_found(code: str) -> None:
    text = f"# 报告\n前言。\n{code}\n## 乙\n乙文。\n"
    assert paths(text, "a.md")[1:] == [(("乙",), "## 乙\n乙文。")]


def test_numbered_headings_nest() -> None:
    text = (
        "某某条例\n\n第一章 总则\n\n第一节 目的\n\n为了管理，制定本条例。\n\n"
        "第二章 细则\n\n一、范围\n\n（一）人员\n\n适用于全体人员。\n\n1.2 时间\n\n自公布之日起施行。"
    )
    assert [path for path, _ in paths(text)] == [
        ("第一章 总则", "第一节 目的"),
        ("第二章 细则", "一、范围", "（一）人员"),
        ("第二章 细则", "一、范围", "（一）人员", "1.2 时间"),
    ]
    bodies = [body.split("\n\n")[-1] for _, body in paths(text)]
    assert bodies == ["为了管理，制定本条例。", "适用于全体人员。", "自公布之日起施行。"]


@pytest.mark.parametrize(
    "line",
    [
        "2024年，东安一、二村签约。",
        "一、二村都签了约，大家很高兴。",
        "这是一句完整的话。",
        "第一部手机诞生于1973年，很贵",
    ],
)
def test_sentences_are_no_headings(line: str) -> None:
    assert [
        path
        for path, _ in paths(
            f"标题\n\n开头的一段话，写得长一些。\n\n{line}\n\n后面还有一段话，也写得长一些。"
        )
    ] == [()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("一。二！三？", ["一。", "二！", "三？"]),
        ("他说：“好。”然后走了。", ["他说：“好。”", "然后走了。"]),
        ('搬进新家。"三旧"变"三新"受益。', ["搬进新家。", '"三旧"变"三新"受益。']),
        ('"这五年,是新图景的五年。"区领导说。', ['"这五年,是新图景的五年。"', "区领导说。"]),
        ("增长 3.5 倍。Up 3.5 percent. It rose.", ["增长 3.5 倍。", "Up 3.5 percent.", "It rose."]),
        ("见 e.g. the list. Next one.", ["见 e.g. the list.", "Next one."]),
        ("It opened in 2021. Mr. Wang came.", ["It opened in 2021.", "Mr. Wang came."]),
        ("At 5 p.m. Monday the U.S. Army left.", ["At 5 p.m. Monday the U.S. Army left."]),
        ("甲\n乙", ["甲", "乙"]),
        ("  ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[a:b] for a, b in sentences(text, 0, len(text))] == expected


def test_chunks_end_at_sentences_and_overlap_by_one() -> None:
    text = "甲甲甲甲甲甲甲甲甲。乙乙乙乙乙乙乙乙乙。丙丙丙丙丙丙丙丙丙。丁丁丁丁丁丁丁丁丁。"
    found = chunks(text, 20)
    assert [c.text for c in found] == [text[0:20], text[10:30], text[20:40]]
    assert [(c.start, c.end) for c in found] == [(0, 20), (10, 30), (20, 40)]
    assert found[1].sentences == ((0, 10), (10, 20))
    assert [c.id for c in found] == ["a#0", "a#1", "a#2"]


def test_no_overlap_where_it_would_not_fit() -> None:
    text = "甲" * 14 + "。" + "乙" * 14 + "。"
    assert [c.text for c in chunks(text, 20)] == ["甲" * 14 + "。", "乙" * 14 + "。"]


def test_a_sentence_that_is_too_long_is_cut_at_a_pause() -> None:
    text = "甲" * 12 + "，" + "乙" * 12 + "。"
    assert [c.text for c in chunks(text, 15)] == ["甲" * 12 + "，", "乙" * 12 + "。"]
    assert [len(c.text) for c in chunks("字" * 50, 15)] == [12, 13, 12, 13]


def test_chunks_stay_in_their_section() -> None:
    text = "题目\n\n开头的话在这里，不算短。\n\n甲\n\n甲文很短但比标题长。\n\n乙\n\n乙文很短但比标题长。"
    assert [(c.section_path, c.text) for c in chunks(text, 100)] == [
        ((), "题目\n\n开头的话在这里，不算短。"),
        (("甲",), "甲\n\n甲文很短但比标题长。"),
        (("乙",), "乙\n\n乙文很短但比标题长。"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "第一条 为了管理。\n第二条 适用范围。\n第三条 本办法自2024年起施行",
        "人工智能发展报告\n\n作者：张三\n\n2024年5月1日\n\n正文在这里，写得长一些。",
        "会议纪要\n\n出席人员\n\n张三 李四 王五",
        "第一部手机诞生于1973年",
    ],
)
def test_no_line_is_lost_to_a_heading(text: str) -> None:
    held = "".join(c.text for c in chunks(text, 100))
    for line in text.split():
        assert line in held
