"""Records to HTML, nothing else: no Gradio, no service. Every piece of data is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from xhqa.types import Answer, Citation, Document, Passage

from .marks import Mark, escape, hue, layout_space, marked, spare_blank_lines


class Listed(Protocol):
    """A document as the list shows it."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def source_name(self) -> str: ...
    @property
    def characters(self) -> int: ...
    @property
    def chunks(self) -> int: ...


# eq=False: Gradio hashes what a session keeps, and an Answer holds a dict.
@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """A question and what came of it: an answer, a problem, or neither while it is sought."""

    question: str
    answer: Answer | None = None
    problem: str | None = None


def citation_anchor(turn: int, index: int) -> str:
    """The HTML id of a citation's mark; ``turn`` counts the conversation's turns from 1."""
    return f"xh-c{turn}-{index}"


def passage_anchor(turn: int, index: int) -> str:
    """The HTML id of a nearest passage's mark; both count from 1."""
    return f"xh-p{turn}-{index}"


def conversation(exchanges: Sequence[Exchange], documents: int) -> str:
    """The whole conversation; where there is none yet, how to begin one."""
    if not exchanges:
        return _welcome() if documents else _empty_index()
    return "".join(_turn(number, exchange) for number, exchange in enumerate(exchanges, 1))


def answer_bubble(turn: int, answer: Answer) -> str:
    """The answer in large type, the sentence it stands in, and a chip for every citation."""
    first = answer.citations[0]
    offset = first.context_start_char_index
    mark = Mark(
        first.start_char_index - offset, first.end_char_index - offset, "answer", first.index
    )
    sentence = marked(first.context, [mark], layout_space(first.context))
    chips = "".join(f"<li>{_chip(turn, citation)}</li>" for citation in answer.citations)
    return (
        '<article class="xh-reply xh-answered">'
        f'<p class="xh-answer-text">{escape(answer.text or "")}</p>'
        f'<blockquote class="xh-context">{sentence}</blockquote>'
        f'<ul class="xh-chips" aria-label="引文">{chips}</ul>'
        "</article>"
    )


def refusal_card(turn: int, answer: Answer) -> str:
    """Says that there is no answer, and shows what came nearest. It cites nothing."""
    if answer.refusal_reason == "empty_index":
        text, note = "还没有可以查的文档。", "先添加文档，|再来提问。"
    elif answer.refusal_reason == "low_confidence":
        text = "文档没有明确回答这个问题。"
        note = "找到了相关的段落，|但没有哪一处足以当作答案。"
    else:
        text, note = "文档没有回答这个问题。", "换一种问法，|或者问文档里写到的内容。"
    nearest = "".join(
        f"<li>{_nearest(turn, number, passage)}</li>"
        for number, passage in enumerate(answer.nearest, 1)
    )
    listed = (
        f'<h3 class="xh-nearest-title">最接近但不足以回答</h3><ol class="xh-nearest">{nearest}</ol>'
        if nearest
        else ""
    )
    return (
        '<article class="xh-reply xh-refused">'
        f'<p class="xh-refusal-text">{text}</p><p class="xh-note">{phrases(note)}</p>'
        f"{listed}</article>"
    )


def problem_card(problem: str) -> str:
    """An error, as a message in the conversation."""
    return (
        '<article class="xh-reply xh-problem" role="alert">'
        f'<p class="xh-refusal-text">这一问没能完成</p><p class="xh-note">{escape(problem)}</p>'
        "</article>"
    )


def document_pane(
    document: Document, turn: int = 0, answer: Answer | None = None, focus: str = ""
) -> str:
    """A whole document with what ``answer`` cites of it marked, to be scrolled to ``focus``."""
    marks, stale = document_marks(document, turn, answer) if answer else ([], False)
    notice = (
        '<p class="xh-notice">这篇文档在回答之后改动过，原来的引文位置已经失效。</p>'
        if stale
        else ""
    )
    text = (
        marked(document.text, marks, spare_blank_lines(document.text))
        if document.text.strip()
        else '<p class="xh-blank">这篇文档没有文字。</p>'
    )
    return (
        f'<section class="xh-pane" data-focus="{escape(focus)}">'
        '<header class="xh-pane-head">'
        f'<h2 class="xh-pane-title">{escape(document.title)}</h2>'
        f'<p class="xh-pane-source">{escape(document.source_name)} · {len(document.text):,} 字</p>'
        f"{notice}</header>"
        '<div class="xh-scroll" tabindex="0" role="region" aria-label="文档全文">'
        f'<div class="xh-document">{text}</div></div></section>'
    )


def document_marks(document: Document, turn: int, answer: Answer) -> tuple[list[Mark], bool]:
    """The marks of ``answer`` in ``document``, and whether some no longer fit its text."""
    marks: list[Mark] = []
    stale = False
    for citation in answer.citations:
        if citation.document_id != document.id:
            continue
        start, end = citation.start_char_index, citation.end_char_index
        if document.text[start:end] != citation.cited_text:
            stale = True
            continue
        anchor = citation_anchor(turn, citation.index)
        marks.append(Mark(start, end, "answer", citation.index, anchor))
        start = citation.context_start_char_index
        end = start + len(citation.context)
        if document.text[start:end] == citation.context:
            marks.append(Mark(start, end, "sentence", citation.index))
    for index, passage in enumerate(answer.nearest, 1):
        if passage.document_id != document.id:
            continue
        start, end = passage.start_char_index, passage.end_char_index
        if document.text[start:end] != passage.text:
            stale = True
            continue
        marks.append(Mark(start, end, "near", index, passage_anchor(turn, index)))
    return marks, stale


def shelf(documents: Sequence[Listed]) -> str:
    """The documents that can be asked, to choose one from."""
    if not documents:
        hint = phrases("添加文档之后，|原文会显示在这里。")
        return f'<section class="xh-pane xh-pane-empty"><p>{hint}</p></section>'
    items = "".join(
        f'<li><a class="xh-book" href="#" data-document="{escape(document.id)}">'
        f'<span class="xh-book-title">{escape(document.title)}</span>'
        f'<span class="xh-book-source">{escape(document.source_name)} · '
        f"{document.characters:,} 字</span></a></li>"
        for document in documents
    )
    return (
        '<section class="xh-pane"><header class="xh-pane-head">'
        f'<h2 class="xh-pane-title">文档</h2><p class="xh-pane-source">{len(documents):,} 篇</p>'
        '</header><div class="xh-scroll" tabindex="0" role="region" aria-label="文档目录">'
        f'<ul class="xh-shelf">{items}</ul></div></section>'
    )


def pane_problem(problem: str) -> str:
    """A document that cannot be shown."""
    return f'<section class="xh-pane xh-pane-empty" role="alert"><p>{escape(problem)}</p></section>'


def phrases(text: str) -> str:
    """The page's own words, cut by ``|`` into phrases that a line is not broken within."""
    return "".join(f'<span class="xh-phrase">{escape(part)}</span>' for part in text.split("|"))


def _turn(number: int, exchange: Exchange) -> str:
    if exchange.problem is not None:
        reply = problem_card(exchange.problem)
    elif exchange.answer is None:
        reply = '<p class="xh-reply xh-seeking" role="status">正在文档里查找…</p>'
    elif exchange.answer.answerable:
        reply = answer_bubble(number, exchange.answer)
    else:
        reply = refusal_card(number, exchange.answer)
    return (
        f'<section class="xh-turn"><p class="xh-question">{escape(exchange.question)}</p>'
        f"{reply}</section>"
    )


def _chip(turn: int, citation: Citation) -> str:
    anchor = citation_anchor(turn, citation.index)
    place = " › ".join((f"《{citation.document_title}》", *citation.section_path))
    page = f" · 第 {citation.page} 页" if citation.page is not None else ""
    name = citation.section_path[-1] if citation.section_path else citation.document_title
    return (
        f'<a class="xh-chip xh-hue-{hue(citation.index)}" href="#{anchor}" '
        f'data-anchor="{anchor}" title="{escape(place + page)}">'
        f'<span class="xh-chip-number">[{citation.index}]</span> '
        f'<span class="xh-chip-name">{escape(name)}</span></a>'
    )


def _nearest(turn: int, number: int, passage: Passage) -> str:
    anchor = passage_anchor(turn, number)
    place = " › ".join(passage.section_path)
    head = f'<span class="xh-passage-place">{escape(place)}</span>' if place else ""
    text = marked(passage.text, (), layout_space(passage.text))
    return (
        f'<a class="xh-passage" href="#{anchor}" data-anchor="{anchor}">{head}'
        f'<span class="xh-passage-text">{text}</span></a>'
    )


def _welcome() -> str:
    return (
        '<div class="xh-welcome"><h2>问一个问题</h2>'
        f"<p>{phrases('答案是文档里的原话。|点答案下面的引文标签，|就能看到它在原文里的位置。')}</p>"
        "</div>"
    )


def _empty_index() -> str:
    steps = ("把文件放进 <code>corpus/</code>，", "运行 <code>xhqa index</code>，", "再刷新本页。")
    lines = "".join(f'<span class="xh-phrase">{step}</span>' for step in steps)
    return f'<div class="xh-welcome"><h2>还没有文档</h2><p>{lines}</p></div>'
