"""The conversation as HTML, nothing else: no Gradio, no service. Every piece of data is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from xhqa.script import tidy
from xhqa.types import Citation, Passage

from .marks import Mark, escape, hue, layout_space, marked
from .pane import (
    address,
    book_list,
    citation_anchor,
    outline_list,
    passage_anchor,
    phrases,
)
from .records import Aside, Exchange
from .words import ZH, Words

# Where the words for a probability change.
_MEDIUM, _HIGH = 1 / 3, 2 / 3
_OPEN = (
    '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M6 3H3v10h10v-3M9 3h4v4M13 3 7.5 8.5"/>'
    "</svg>"
)
_COPY = (
    '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M5.5 5.5h7v7h-7zM3.5 10.5v-7h7"/></svg>'
)


def conversation(
    exchanges: Sequence[Exchange], documents: int, words: Words = ZH, feedback: bool = False
) -> str:
    """The whole conversation; where there is none yet, how to begin one. ``feedback``: whether
    what users say of answers is kept."""
    last = len(exchanges)
    inner = (
        "".join(
            _turn(number, exchange, words, feedback, number == last)
            for number, exchange in enumerate(exchanges, 1)
        )
        if exchanges
        else _welcome(documents, words)
    )
    return (
        f'<div class="xh-log" lang="{words.lang}" data-label="{words.conversation}">{inner}</div>'
    )


def hint_list(questions: Sequence[str] | None, words: Words = ZH) -> str:
    """Questions for a newcomer; None while they are being found."""
    if questions is None:
        return f'<p class="xh-finding" role="status">{words.finding_hints}</p>'
    if not questions:
        return ""
    return (
        f'<section class="xh-hints" aria-label="{words.hints}"><h2>{words.hints}</h2>'
        f"{_questions(questions)}</section>"
    )


def answer_bubble(turn: int, exchange: Exchange, words: Words = ZH) -> str:
    """The answer in large type, the sentence it stands in, and a chip for every citation."""
    answer = exchange.answer
    assert answer is not None
    first = answer.citations[0]
    offset = first.context_start_char_index
    mark = Mark(
        first.start_char_index - offset, first.end_char_index - offset, "answer", first.index
    )
    # Where the answer is a sentence, it needs no repeating.
    context = ""
    if tidy(first.context) != answer.text:
        sentence = marked(first.context, [mark], layout_space(first.context))
        context = f'<blockquote class="xh-context">{sentence}</blockquote>'
    size = " xh-long" if len(answer.text or "") > 40 else ""
    return (
        '<article class="xh-reply xh-answered">'
        f"{_understood(exchange, words)}"
        f'<p class="xh-answer-text{size}">{escape(answer.text or "")}</p>'
        f"{context}{_chips(turn, exchange.citations, words, exchange.searched > 1)}"
        f"{_meta(answer.confidence, answer.timings_ms.get('total'), words)}"
        "</article>"
    )


def refusal_card(turn: int, exchange: Exchange, words: Words = ZH) -> str:
    """Says that there is no answer, what was searched and what came nearest. It cites nothing."""
    answer = exchange.answer
    assert answer is not None
    text, note = words.refused[answer.refusal_reason or "no_evidence"]
    searched = (
        f'<p class="xh-note">{words.searched.format(f"{exchange.searched:,}")}</p>'
        if exchange.searched
        else ""
    )
    nearest = "".join(
        f"<li>{_nearest(turn, number, passage)}</li>"
        for number, passage in enumerate(answer.nearest, 1)
    )
    listed = (
        f'<h3 class="xh-nearest-title">{words.nearest}</h3><ol class="xh-nearest">{nearest}</ol>'
        if nearest
        else ""
    )
    instead = (
        f'<h3 class="xh-nearest-title">{words.instead}</h3>{_questions(exchange.hints)}'
        if exchange.hints
        else ""
    )
    return (
        '<article class="xh-reply xh-refused">'
        f"{_understood(exchange, words)}"
        f'<p class="xh-refusal-text">{text}</p><p class="xh-note">{phrases(note)}</p>'
        f"{searched}{listed}{instead}</article>"
    )


def aside_bubble(turn: int, aside: Aside, words: Words = ZH) -> str:
    """A reply to what was no question."""
    text, body = words.asides[aside.kind], ""
    if aside.kind == "summary":
        several = len({c.document_id for c in aside.citations}) > 1
        items = "".join(
            f"<li><q>{marked(c.cited_text, (), layout_space(c.cited_text))}</q>"
            f"{_chips(turn, [c], words, several)}</li>"
            for c in aside.citations
        )
        text = text if items else words.no_summary
        body = f'<ol class="xh-digest">{items}</ol>' if items else ""
    elif aside.kind == "outline":
        body = "".join(
            f'<h3 class="xh-nearest-title">{escape(document.title)}</h3>'
            f"{outline_list(document.id, outline, words)}"
            for document, outline in aside.outlines
            if outline
        )
        text = text if body else words.no_outline
    elif aside.kind == "documents":
        text = text if aside.documents else words.no_documents
        body = book_list(aside.documents, words) if aside.documents else ""
    return (
        f'<article class="xh-reply xh-aside"><p class="xh-said">{escape(text)}</p>{body}</article>'
    )


def problem_card(problem: str, words: Words = ZH) -> str:
    """An error, as a message in the conversation."""
    return (
        '<article class="xh-reply xh-problem" role="alert">'
        f'<p class="xh-refusal-text">{words.problem}</p><p class="xh-note">{escape(problem)}</p>'
        "</article>"
    )


def quotation(citation: Citation) -> str:
    """The cited words with their source, as they are copied."""
    section = f"·{citation.section_path[-1]}" if citation.section_path else ""
    return f"“{tidy(citation.cited_text)}”——《{citation.document_title}》{section}"


def _turn(number: int, exchange: Exchange, words: Words, feedback: bool, last: bool) -> str:
    if exchange.problem is not None:
        reply = problem_card(exchange.problem, words)
    elif exchange.aside is not None:
        reply = aside_bubble(number, exchange.aside, words)
    elif exchange.answer is None:
        reply = f'<p class="xh-reply xh-seeking" role="status">{words.seeking}</p>'
    elif exchange.answer.answerable:
        reply = answer_bubble(number, exchange, words)
    else:
        reply = refusal_card(number, exchange, words)
    tools = _verdict(number, exchange, words) if feedback and exchange.answer else ""
    if last and exchange.done:
        tools += _last_tools(words)
    below = f'<div class="xh-below">{tools}</div>' if tools else ""
    return (
        f'<section class="xh-turn"><p class="xh-question">{escape(exchange.question)}</p>'
        f"{reply}{below}</section>"
    )


def _understood(exchange: Exchange, words: Words) -> str:
    answer = exchange.answer
    if answer is None or answer.standalone_question == answer.question:
        return ""
    return f'<p class="xh-understood">{words.understood}{escape(answer.standalone_question)}</p>'


def _meta(confidence: float, milliseconds: float | None, words: Words) -> str:
    level = (confidence >= _MEDIUM) + (confidence >= _HIGH)
    title = words.probability.format(f"{confidence:.0%}")
    sure = (
        f'<span class="xh-sure xh-sure-{level}" title="{title}">'
        f"{words.sure}{words.levels[level]}</span>"
    )
    took = (
        ""
        if milliseconds is None
        else f"<span>{words.took.format(f'{milliseconds / 1000:.2f}')}</span>"
    )
    return f'<p class="xh-meta">{sure}{took}</p>'


def _chips(turn: int, citations: Sequence[Citation], words: Words, several: bool) -> str:
    """``several``: there is more than one document to tell apart."""
    items = "".join(f"<li>{_chip(turn, citation, words, several)}</li>" for citation in citations)
    return f'<ul class="xh-chips" aria-label="{words.citations}">{items}</ul>'


def _chip(turn: int, citation: Citation, words: Words, several: bool) -> str:
    anchor = citation_anchor(turn, citation.index)
    place = " › ".join((f"《{citation.document_title}》", *citation.section_path))
    page = "" if citation.page is None else f" · {words.page.format(citation.page)}"
    section = citation.section_path[-1:]
    named = (citation.document_title, *section) if several or not section else section
    name = " · ".join(named)
    href = escape(address(citation.document_id, citation.start_char_index, citation.end_char_index))
    open_it = words.open_citation.format(citation.index)
    copy = words.copy.format(citation.index)
    return (
        f'<a class="xh-chip xh-hue-{hue(citation.index)}" href="{href}" '
        f'data-anchor="{anchor}" title="{escape(place + page)}">'
        f'<span class="xh-chip-number">[{citation.index}]</span> '
        f'<span class="xh-chip-name">{escape(name)}</span></a>'
        f'<a class="xh-mini" href="{href}" target="_blank" rel="noopener" '
        f'aria-label="{open_it}" title="{open_it}">{_OPEN}</a>'
        f'<button type="button" class="xh-mini" data-copy="{escape(quotation(citation))}" '
        f'data-copied="{words.copied}" data-failed="{words.not_copied}" '
        f'aria-label="{copy}" title="{copy}">{_COPY}</button>'
    )


def _nearest(turn: int, number: int, passage: Passage) -> str:
    anchor = passage_anchor(turn, number)
    href = escape(address(passage.document_id, passage.start_char_index, passage.end_char_index))
    place = " › ".join(passage.section_path)
    head = f'<span class="xh-passage-place">{escape(place)}</span>' if place else ""
    text = marked(passage.text, (), layout_space(passage.text))
    return (
        f'<a class="xh-passage" href="{href}" data-anchor="{anchor}">{head}'
        f'<span class="xh-passage-text">{text}</span></a>'
    )


def _questions(questions: Sequence[str]) -> str:
    items = "".join(
        f'<li><button type="button" class="xh-hint" data-act="ask" '
        f'data-question="{escape(question)}">{escape(question)}</button></li>'
        for question in questions
    )
    return f'<ul class="xh-hint-list">{items}</ul>'


def _verdict(number: int, exchange: Exchange, words: Words) -> str:
    buttons = "".join(
        f'<button type="button" class="xh-tool" data-act="{act}" data-turn="{number}" '
        f'aria-pressed="{"true" if exchange.verdict == act else "false"}">{label}</button>'
        for act, label in (("right", words.right), ("wrong", words.wrong))
    )
    form = ""
    if exchange.verdict == "wrong" and not exchange.corrected:
        form = (
            f'<form class="xh-correct" data-act="correct" data-turn="{number}">'
            f'<label>{words.right_answer}<input name="answer" maxlength="500" '
            f'autocomplete="off"/></label>'
            f'<button type="submit" class="xh-tool">{words.submit}</button></form>'
        )
    noted = f'<span class="xh-noted" role="status">{words.noted}</span>' if exchange.verdict else ""
    return (
        f'<div class="xh-verdict" role="group" aria-label="{words.was_it_right}">'
        f"<span>{words.was_it_right}</span>{buttons}{noted}{form}</div>"
    )


def _last_tools(words: Words) -> str:
    buttons = "".join(
        f'<button type="button" class="xh-tool" data-act="{act}">{label}</button>'
        for act, label in (("retry", words.retry), ("edit", words.edit), ("undo", words.undo))
    )
    return f'<div class="xh-last" role="group" aria-label="{words.last_question}">{buttons}</div>'


def _welcome(documents: int, words: Words) -> str:
    if documents:
        title, note = words.welcome, words.welcome_note
    else:
        title, note = words.no_documents, words.no_documents_note
    return f'<div class="xh-welcome"><h2>{title}</h2><p>{phrases(note)}</p></div>'
