from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from xhqa_ui import pane, render
from xhqa_ui.marks import Mark, escape, layout_space, marked, spare_blank_lines
from xhqa_ui.records import Aside, Exchange
from xhqa_ui.words import EN

from xhqa.script import language_of
from xhqa.types import OutlineEntry

HOSTILE = "<img src=x onerror=alert(1)> ![x](http://evil.example/a.png) \"'&lt; ${alert(2)} {{x}}"


class Page(HTMLParser):
    """What a browser would make of it: all text, the text of each mark, every tag and id."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.cited: dict[tuple[str, str], str] = {}
        self._open: list[dict[str, str | None]] = []
        self.feed(html)
        self.close()
        assert not self._open, "an element is left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._open.append(dict(attrs))
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        for attrs in self._open:
            for cite in (attrs.get("data-cites") or "").split():
                key = ((attrs.get("class") or "").split()[0], cite)
                self.cited[key] = self.cited.get(key, "") + data


def test_escape_leaves_no_markup() -> None:
    assert escape('<a href="x">\'&') == "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;"
    assert escape("a\r\nb\x00\ud800") == "a&#13;\nb\ufffd\ufffd"


def test_marked_marks_exactly_the_slice() -> None:
    assert marked("甲乙丙丁", [Mark(1, 3, "answer", 1, "a1")]) == (
        '甲<span id="a1"></span>'
        '<mark class="xh-answer xh-hue-1" data-cites="1" data-label="1">乙丙</mark>丁'
    )


def test_offsets_are_code_points() -> None:
    text = "𠮷😀e\u0301<755家>"
    start = text.index("755家")
    page = Page(marked(text, [Mark(start, start + 4, "answer", 1)]))
    assert page.text == text
    assert page.cited == {("xh-answer", "1"): "755家"}


@pytest.mark.parametrize(
    ("first", "second"), [((1, 4), (2, 6)), ((0, 6), (2, 3)), ((1, 3), (1, 3)), ((0, 2), (2, 4))]
)
def test_overlapping_marks_keep_their_texts(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    text = "0<2&4>"
    marks = [Mark(*first, "answer", 1, "a1"), Mark(*second, "answer", 2, "a2")]
    page = Page(marked(text, marks))
    assert page.text == text
    assert page.cited[("xh-answer", "1")] == text[slice(*first)]
    assert page.cited[("xh-answer", "2")] == text[slice(*second)]
    assert sorted(page.ids) == ["a1", "a2"]


def test_marks_outside_the_text_are_cut_off() -> None:
    page = Page(marked("甲乙", [Mark(-3, 1, "answer", 1), Mark(5, 9, "answer", 2)]))
    assert (page.text, page.cited) == ("甲乙", {("xh-answer", "1"): "甲"})


def test_folds_hide_but_keep() -> None:
    text = "\n\n甲\n\n\r\n \n乙"
    folds = spare_blank_lines(text)
    assert [text[a:b] for a, b in folds] == ["\n\n", "\r\n \n"]
    assert Page(marked(text, [Mark(2, 9, "sentence", 1)], folds)).text == text
    assert marked("甲\n\n\n乙", (), [(3, 4)]) == '甲\n\n<span class="xh-fold">\n</span>乙'


def test_layout_space_is_only_between_han() -> None:
    text = "就 是 AI 店\n\n长 ok"
    assert [text[a:b] for a, b in layout_space(text)] == [" ", "\n\n"]


def test_bubble(make: Any) -> None:
    document = make.document("前文。徐汇有755家\n大模型企业。后文。")
    citation = make.citation(document, "755家", "徐汇有755家\n大模型企业。", section="核爆点")
    html = render.answer_bubble(3, Exchange("问", make.answer(citation)))
    page = Page(html)
    assert '<p class="xh-answer-text">755家</p>' in html
    assert page.cited == {("xh-answer", "1"): "755家"}
    assert "徐汇有755家\n大模型企业。" in page.text
    assert "[1] 核爆点" in page.text
    assert 'data-anchor="xh-c3-1"' in html
    start = citation.start_char_index
    address = f'href="documents/a/view#char={start},{start + 4}"'
    assert html.count(address) == 2, "the chip, and the link that opens a tab"
    assert 'target="_blank" rel="noopener"' in html
    assert 'data-copy="“755家”——《甲》·核爆点"' in html
    assert page.ids == [], "ids belong to the pane"


def test_chips_name_the_document_where_there_are_several(make: Any) -> None:
    document = make.document("甲乙丙。", title="标题")
    answer = make.answer(make.citation(document, "乙", "甲乙丙。", section="二"))
    one, many = (
        Page(render.answer_bubble(1, Exchange("问", answer, searched=n))).text for n in (1, 2)
    )
    assert "[1] 二" in one
    assert "[1] 标题 · 二" in many


def test_chip_without_section_names_the_document(make: Any) -> None:
    document = make.document("甲乙丙。", title="标题")
    citation = replace(make.citation(document, "乙", "甲乙丙。", section=""), page=4)
    html = render.answer_bubble(1, Exchange("问", make.answer(citation)))
    assert "[1] 标题" in Page(html).text
    assert 'title="《标题》 · 第 4 页"' in html


def test_pane_marks_sentence_and_answer(make: Any) -> None:
    text = "<b>前</b>\r\n𠮷。共有755家企业。\n\n\n\n另有64个模型。"
    document = make.document(text, title="<i>题</i>")
    answer = make.answer(
        make.citation(document, "755家", "共有755家企业。"),
        make.citation(document, "64个", "另有64个模型。", index=2),
    )
    html = pane.document_pane(document, (), 2, Exchange("问", answer), "xh-c2-1")
    page = Page(html)
    assert text in page.text
    assert page.cited == {
        ("xh-answer", "1"): "755家",
        ("xh-answer", "2"): "64个",
        ("xh-sentence", "1"): "共有企业。",
        ("xh-sentence", "2"): "另有模型。",
    }
    assert page.ids == ["xh-c2-1", "xh-c2-2"]
    assert "xh-hue-1" in html
    assert "xh-hue-2" in html
    assert 'data-focus="xh-c2-1"' in html
    assert not {"b", "i"} & set(page.tags)


def test_pane_leaves_out_citations_of_other_documents(make: Any) -> None:
    document, other = make.document("甲乙。", "a"), make.document("甲乙。", "b")
    page = Page(
        pane.document_pane(
            document, (), 1, Exchange("问", make.answer(make.citation(other, "甲", "甲乙。")))
        )
    )
    assert page.cited == {}


def test_pane_never_marks_text_that_changed(make: Any) -> None:
    answer = make.answer(make.citation(make.document("共有755家。"), "755家", "共有755家。"))
    html = pane.document_pane(make.document("如今共有800家。"), (), 1, Exchange("问", answer))
    assert Page(html).cited == {}
    assert "引文位置已经失效" in html


def test_refusal(make: Any) -> None:
    document = make.document("甲乙丙。丁戊己。")
    answer = make.refusal(make.passage(document, "丁戊己。"))
    html = render.refusal_card(2, Exchange("问", answer, searched=1234, hints=("几个？",)))
    page = Page(html)
    assert "文档没有回答这个问题" in page.text
    assert "最接近但不足以回答" in page.text
    assert "丁戊己。" in page.text
    assert "查了 1,234 篇文档" in page.text
    assert 'data-act="ask" data-question="几个？"' in html
    assert 'href="documents/a/view#char=4,8"' in html
    assert "xh-chip" not in html
    assert "mark" not in page.tags
    shown = Page(pane.document_pane(document, (), 2, Exchange("问", answer)))
    assert shown.cited == {("xh-near", "1"): "丁戊己。"}
    assert shown.ids == ["xh-p2-1"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [("no_evidence", "没有回答"), ("low_confidence", "没有明确回答"), ("empty_index", "还没有")],
)
def test_refusal_reasons(make: Any, reason: Any, words: str) -> None:
    answer = replace(make.refusal(), refusal_reason=reason)
    page = Page(render.refusal_card(1, Exchange("问", answer)))
    assert words in page.text
    assert "最接近" not in page.text
    assert "查了" not in page.text


@pytest.mark.parametrize("text", ["", "\n \r\n"])
def test_empty_document(make: Any, text: str) -> None:
    assert "没有文字" in pane.document_pane(make.document(text))


def test_shelf(make: Any) -> None:
    service = make.service([make.document("甲乙", "a", HOSTILE), make.document("", 'b"><b>', "乙")])
    html = pane.shelf(service.documents())
    assert 'data-document="b&quot;&gt;&lt;b&gt;"' in html
    assert HOSTILE in Page(html).text
    assert "添加文档" in pane.shelf([])


def test_conversation_states(make: Any) -> None:
    assert "问一个问题" in render.conversation((), 1)
    assert "还没有文档" in render.conversation((), 0)
    assert "正在文档里查找" in render.conversation([Exchange("问")], 1)
    assert "坏了" in render.conversation([Exchange("问", problem="坏了")], 1)


def test_confidence_in_words_and_time(make: Any) -> None:
    document = make.document("甲乙丙。")
    answer = make.answer(make.citation(document, "乙", "甲乙丙。"))
    for confidence, word in [(0.97, "高"), (0.667, "高"), (0.5, "中"), (0.2, "低")]:
        given = replace(answer, confidence=confidence, timings_ms={"total": 1234.5})
        html = render.answer_bubble(1, Exchange("问", given))
        page = Page(html)
        assert f"把握：{word}" in page.text
        assert "用时 1.23 秒" in page.text
        assert f'title="答对的概率约 {confidence:.0%}"' in html
        assert "%" not in page.text, "the probability only shows on hover"


def test_a_sentence_that_is_the_answer_stands_once(make: Any) -> None:
    document = make.document("前。甲乙丙\n丁。")
    answer = replace(
        make.answer(make.citation(document, "甲乙丙\n丁。", "甲乙丙\n丁。")), text="甲乙丙丁。"
    )
    html = render.answer_bubble(1, Exchange("问", answer))
    assert "xh-context" not in html
    assert Page(html).text.count("甲乙丙丁。") == 1


def test_how_a_question_was_understood(make: Any) -> None:
    document = make.document("甲乙丙。")
    answer = make.answer(make.citation(document, "乙", "甲乙丙。"), question="那呢？")
    assert "理解为" not in render.answer_bubble(1, Exchange("那呢？", answer))
    for reply in (answer, make.refusal(question="那呢？")):
        exchange = Exchange("那呢？", replace(reply, standalone_question="<b>谁</b>？"))
        assert "理解为：<b>谁</b>？" in Page(render.conversation([exchange], 1)).text


def test_asides(make: Any) -> None:
    document = make.document("一、起\n甲。\n二、承\n乙。", title="<i>题</i>")
    outline = (OutlineEntry("起", 1, 0), OutlineEntry("<b>承</b>", 2, 7))
    html = render.aside_bubble(2, Aside("outline", outlines=((document, outline),)))
    assert Page(html).text.endswith("<i>题</i>起<b>承</b>")
    assert 'href="documents/a/view#char=7" data-document="a" data-anchor="xh-h-7"' in html
    cited = (make.citation(document, "甲。", "甲。"), make.citation(document, "乙。", "乙。", 2))
    html = render.aside_bubble(2, Aside("summary", cited))
    assert "甲。[1] 小节乙。[2] 小节" in Page(html).text
    assert "xh-c2-2" in html
    listed = make.service([document]).documents()
    assert "<i>题</i>" in Page(render.aside_bubble(1, Aside("documents", documents=listed))).text
    for kind, words in [
        ("summary", "没有可以摘录"),
        ("outline", "没有分小节"),
        ("documents", "还没有文档"),
    ]:
        assert words in render.aside_bubble(1, Aside(kind))  # type: ignore[arg-type]


def test_the_pane_has_the_outline(make: Any) -> None:
    document = make.document("😀起\n甲。\n承\n乙。", 'a/"b')
    html = pane.document_pane(document, (OutlineEntry("起", 1, 1), OutlineEntry("承", 1, 6)))
    page = Page(html)
    assert page.ids == ["xh-h-1", "xh-h-6"]
    assert document.text in page.text
    assert '<span class="xh-heading">承</span>' in html
    assert 'href="documents/a%2F%22b/view#char=6"' in html
    assert 'data-document="a/&quot;b"' in html


def test_hints(make: Any) -> None:
    assert "正在" in render.hint_list(None)
    assert render.hint_list(()) == ""
    assert 'data-question="&lt;b&gt;？"' in render.hint_list(["<b>？"])


def test_tools_and_verdicts(make: Any) -> None:
    exchange = Exchange("问", make.refusal())
    html = render.conversation([exchange, Exchange("再问", make.refusal())], 1, feedback=True)
    assert html.count('data-act="retry"') == html.count('data-act="undo"') == 1, "the last turn"
    assert html.count('data-act="right"') == 2
    assert 'data-act="right"' not in render.conversation([exchange], 1)
    assert 'data-act="retry"' not in render.conversation([Exchange("问")], 1)
    judged = replace(exchange, verdict="wrong")
    html = render.conversation([judged], 1, feedback=True)
    assert '<form class="xh-correct" data-act="correct" data-turn="1">' in html
    assert 'data-act="wrong" data-turn="1" aria-pressed="true"' in html
    html = render.conversation([replace(judged, corrected=True)], 1, feedback=True)
    assert "<form" not in html
    assert "已记在本机" in html


def test_english_says_nothing_in_chinese(make: Any) -> None:
    document = make.document("Head\nOne two. Three.", title="Title")
    answer = replace(
        make.answer(make.citation(document, "two", "One two.", section="Head"), question="q"),
        standalone_question="longer",
        timings_ms={"total": 5.0},
    )
    refusal = make.refusal(make.passage(document, "Three.", "Head"), question="q")
    listed = make.service([document]).documents()
    outline = (OutlineEntry("Head", 1, 0),)
    exchanges = [
        Exchange("q", replace(answer, citations=(replace(answer.citations[0], page=3),))),
        *(
            Exchange("q", replace(refusal, refusal_reason=reason), searched=2, hints=("h",))
            for reason in ("no_evidence", "low_confidence", "empty_index")
        ),
        Exchange("q", problem="p", verdict="wrong"),
        Exchange("q", answer, verdict="wrong"),
        *(Exchange("q", aside=Aside(kind)) for kind in EN.asides),
        Exchange("q", aside=Aside("outline", outlines=((document, outline),))),
        Exchange("q", aside=Aside("documents", documents=listed)),
        Exchange("q"),
    ]
    html = render.conversation(exchanges, 1, EN, feedback=True)
    html += render.conversation((), 0, EN) + render.conversation((), 1, EN)
    html += render.hint_list(None, EN) + render.hint_list(["h"], EN)
    html += pane.document_pane(document, outline, 1, exchanges[0], "", EN) + pane.shelf((), EN)
    html += pane.document_pane(make.document("x", title="t"), (), 1, exchanges[0], "", EN)
    html += pane.shelf(listed, EN) + pane.document_pane(make.document("", title="t"), words=EN)
    # A quotation keeps the Chinese form of naming its source.
    html = re.sub(r'data-copy="[^"]*"| title="《[^"]*"', "", html)
    assert re.findall("[\u3000-\u9fff\uff00-\uffef]+", html) == []


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "zh"),
        ("en-GB,zh;q=0.5", "en"),
        ("fr, zh-HK;q=0.8, en", "zh"),
        ("de", "zh"),
        ("en", "en"),
    ],
)
def test_language_of(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_hostile_data_stays_text(make: Any) -> None:
    document = make.document(f"甲。{HOSTILE}。乙。", title=HOSTILE)
    citation = make.citation(document, HOSTILE, f"{HOSTILE}。", section=HOSTILE)
    answer = make.answer(citation)
    refusal = make.refusal(make.passage(document, HOSTILE, section=HOSTILE))
    exchanges = [
        Exchange(HOSTILE, answer),
        Exchange(HOSTILE, refusal),
        Exchange(HOSTILE, problem=HOSTILE),
    ]
    shown = pane.document_pane(document, (), 1, exchanges[0], HOSTILE)
    html = render.conversation(exchanges, 1) + shown
    page = Page(html)
    assert not {"img", "script", "iframe", "object", "link", "style"} & set(page.tags)
    # question x3, answer, its sentence, its chip, passage, its place, problem; title, text
    assert page.text.count(HOSTILE) == 11
    assert page.cited[("xh-answer", "1")].count(HOSTILE) == 2


def test_phrases_keep_the_space_between_them() -> None:
    assert pane.phrases("one, |<two>") == (
        '<span class="xh-phrase">one,</span> <span class="xh-phrase">&lt;two&gt;</span>'
    )
