from __future__ import annotations

from collections.abc import Callable

import pytest

from xhqa.digest import MAX_SENTENCES, evenly, summary
from xhqa.errors import NotFoundError
from xhqa.lexical import LexicalIndex, tokenize
from xhqa.load import repair
from xhqa.pipeline import Pipeline
from xhqa.split import split
from xhqa.types import Document, OutlineEntry

MakePipeline = Callable[[dict[str, str | bytes]], Pipeline]

BRIDGES = (
    "# 镇志\n\n## 桥梁\n\n石桥很多。甲镇的古代石桥由工匠用青石修建而成。天气晴朗的日子里有人来。"
    "古代工匠修建石桥时用青石。\n\n## 河流\n\n### 大河\n\n大河从甲镇中间穿过流向东海。\n\n"
    "### 小河\n\n小河在甲镇南边汇入大河干流。\n"
)


def test_outline(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline({"镇志.md": BRIDGES})
    text = pipeline.document("镇志").text
    assert pipeline.outline("镇志") == (
        OutlineEntry("桥梁", 1, text.index("## 桥梁")),
        OutlineEntry("河流", 1, text.index("## 河流")),
        OutlineEntry("大河", 2, text.index("### 大河")),
        OutlineEntry("小河", 2, text.index("### 小河")),
    )
    with pytest.raises(NotFoundError):
        pipeline.outline("乡志")


def test_summary_takes_the_central_sentence_of_each_section(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline({"镇志.md": BRIDGES})
    text = pipeline.document("镇志").text
    found = pipeline.summary(["镇志"])
    assert [c.cited_text for c in found] == [
        "甲镇的古代石桥由工匠用青石修建而成。",
        "大河从甲镇中间穿过流向东海。",
        "小河在甲镇南边汇入大河干流。",
    ]
    assert [c.index for c in found] == [1, 2, 3]
    for citation in found:
        start, end = citation.start_char_index, citation.end_char_index
        assert text[start:end] == citation.cited_text == citation.context
    assert found[1].section_path == ("河流", "大河")


def test_summary_of_several_documents_and_of_none(make_pipeline: MakePipeline) -> None:
    names = {f"{n}.txt": f"第{n}个村庄的学校建在山坡上。\n\n无。" for n in range(MAX_SENTENCES + 3)}
    pipeline = make_pipeline({**names, "空.txt": "。"})
    found = pipeline.summary()
    assert len(found) == MAX_SENTENCES
    assert len({c.document_id for c in found}) == MAX_SENTENCES
    assert pipeline.summary(["空"]) == ()
    assert pipeline.summary([]) == ()
    assert evenly("abcdefghij", 4) == ["a", "c", "f", "h"]
    assert evenly("abc", 4) == "abc"


def test_summary_of_a_document_with_many_sections(make_pipeline: MakePipeline) -> None:
    sections = "".join(f"## 第{n}站\n\n列车在第{n}站停靠五分钟后继续前行。\n\n" for n in range(20))
    found = make_pipeline({"路.md": f"# 路\n\n{sections}"}).summary()
    assert len(found) == MAX_SENTENCES
    assert [c.start_char_index for c in found] == sorted(c.start_char_index for c in found)


def test_a_summary_names_the_page_of_each_sentence() -> None:
    first, second = "# 甲\n大河从甲镇中间穿过流向东海。\n\n", "# 乙\n乙村的学校建在南面的山坡上。\n"
    paged = Document(
        "书", "书", first + second, "书.md", "0", "text/markdown", pages=(0, len(first))
    )
    chunks = split(paged, repair(paged), lambda texts: [len(text) for text in texts])
    weights = LexicalIndex.build([tokenize(chunk.text) for chunk in chunks])
    assert [citation.page for citation in summary([(paged, chunks)], weights)] == [1, 2]
