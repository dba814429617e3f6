"""The document pane: a whole document with its outline and marks, or the list of documents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from xhqa.types import Document, DocumentInfo, OutlineEntry

from .marks import Mark, escape, marked, spare_blank_lines
from .records import Exchange
from .words import ZH, Words


def citation_anchor(turn: int, index: int) -> str:
    """The HTML id of a citation's mark; ``turn`` counts the conversation's turns from 1."""
    return f"xh-c{turn}-{index}"


def passage_anchor(turn: int, index: int) -> str:
    """The HTML id of a nearest passage's mark; both count from 1."""
    return f"xh-p{turn}-{index}"


def heading_anchor(start: int) -> str:
    """The HTML id of the heading that begins at ``start``."""
    return f"xh-h-{start}"


def address(document_id: str, start: int, end: int | None = None) -> str:
    """Where a place of a document is to be seen, relative to the page (RFC 5147)."""
    # Half a surrogate pair has no UTF-8, so no address.
    name = quote(document_id.encode("utf-8", "replace"), safe="")
    return f"documents/{name}/view#char={start}" + ("" if end is None else f",{end}")


def document_pane(
    document: Document,
    outline: Sequence[OutlineEntry] = (),
    turn: int = 0,
    exchange: Exchange | None = None,
    focus: str = "",
    words: Words = ZH,
) -> str:
    """A whole document with what ``exchange`` cites of it marked, to be scrolled to ``focus``."""
    marks, stale = document_marks(document, turn, exchange) if exchange else ([], False)
    notice = f'<p class="xh-notice">{words.changed}</p>' if stale else ""
    text = (
        marked(
            document.text,
            [*marks, *_heading_marks(document, outline)],
            spare_blank_lines(document.text),
        )
        if document.text.strip()
        else f'<p class="xh-blank">{words.empty_document}</p>'
    )
    size = words.characters.format(f"{len(document.text):,}")
    return (
        f'<section class="xh-pane" data-focus="{escape(focus)}" '
        f'data-document="{escape(document.id)}">'
        '<header class="xh-pane-head">'
        f"{_ways_back(words)}"
        f'<h2 class="xh-pane-title">{escape(document.title)}</h2>'
        f'<p class="xh-pane-source">{escape(document.source_name)} · {size}</p>'
        f"{notice}{outline_list(document.id, outline, words)}</header>"
        f'<div class="xh-scroll" tabindex="0" role="region" aria-label="{words.full_text}">'
        f'<div class="xh-document">{text}</div></div></section>'
    )


def outline_list(document_id: str, outline: Sequence[OutlineEntry], words: Words = ZH) -> str:
    """The sections of a document, as links into it; nothing where it has none."""
    if not outline:
        return ""
    items = "".join(
        f'<li class="xh-level-{min(heading.level, 3)}">'
        f'<a href="{escape(address(document_id, heading.start_char_index))}" '
        f'data-document="{escape(document_id)}" '
        f'data-anchor="{heading_anchor(heading.start_char_index)}">{escape(heading.name)}</a></li>'
        for heading in outline
    )
    return f'<nav class="xh-outline" aria-label="{words.sections}"><ol>{items}</ol></nav>'


def document_marks(document: Document, turn: int, exchange: Exchange) -> tuple[list[Mark], bool]:
    """The marks of ``exchange`` in ``document``, and whether some no longer fit its text."""
    marks: list[Mark] = []
    stale = False
    for citation in exchange.citations:
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
    for index, passage in enumerate(exchange.nearest, 1):
        if passage.document_id != document.id:
            continue
        start, end = passage.start_char_index, passage.end_char_index
        if document.text[start:end] != passage.text:
            stale = True
            continue
        marks.append(Mark(start, end, "near", index, passage_anchor(turn, index)))
    return marks, stale


def _heading_marks(document: Document, outline: Sequence[OutlineEntry]) -> list[Mark]:
    marks: dict[int, Mark] = {}
    for heading in outline:
        start = heading.start_char_index
        end = document.text.find("\n", start)
        end = len(document.text) if end < 0 else end
        marks[start] = Mark(start, end, "heading", 0, heading_anchor(start))
    return list(marks.values())


def shelf(documents: Sequence[DocumentInfo], words: Words = ZH) -> str:
    """The documents that can be asked, to choose one from."""
    if not documents:
        hint = phrases(words.no_shelf)
        return f'<section class="xh-pane xh-pane-empty"><p>{hint}</p></section>'
    count = words.document_count.format(f"{len(documents):,}")
    return (
        '<section class="xh-pane"><header class="xh-pane-head">'
        f'<h2 class="xh-pane-title">{words.documents}</h2><p class="xh-pane-source">{count}</p>'
        f'</header><div class="xh-scroll" tabindex="0" role="region" aria-label="{words.shelf}">'
        f"{book_list(documents, words, removable=True)}</div></section>"
    )


def book_list(
    documents: Sequence[DocumentInfo], words: Words = ZH, *, removable: bool = False
) -> str:
    """Documents by title, each to be opened in the pane, and removed where that is offered."""
    items = "".join(
        f'<li><a class="xh-book" href="{escape(address(document.id, 0))}" '
        f'data-document="{escape(document.id)}">'
        f'<span class="xh-book-title">{escape(document.title)}</span>'
        f'<span class="xh-book-source">{escape(document.source_name)} · '
        f"{words.characters.format(f'{document.characters:,}')}</span></a>"
        f"{_remove_button(document, words) if removable else ''}</li>"
        for document in documents
    )
    return f'<ul class="xh-shelf">{items}</ul>'


def _remove_button(document: DocumentInfo, words: Words) -> str:
    label = words.remove.format(escape(document.title))
    return (
        f'<button type="button" class="xh-tool xh-remove" title="{label}" aria-label="{label}" '
        f'data-remove="{escape(document.id)}" data-really="{words.really_remove}">×</button>'
    )


def pane_problem(problem: str, words: Words | None = None) -> str:
    """A document that cannot be shown; with ``words`` there is a way back to the others."""
    ways = _ways_back(words) if words else ""
    said = f'<p role="alert">{escape(problem)}</p>'
    return f'<section class="xh-pane xh-pane-empty">{ways}{said}</section>'


def _ways_back(words: Words) -> str:
    """To the list of documents and, where that lies above, to the conversation."""
    return (
        '<div class="xh-ways">'
        f'<button type="button" class="xh-tool xh-back" data-shelf>‹ {words.all_documents}</button>'
        f'<button type="button" class="xh-tool xh-up" data-up>{words.to_talk} ↑</button></div>'
    )


def phrases(text: str) -> str:
    """The page's own words, cut by ``|`` into phrases that a line is not broken within."""
    # A space at the end of an inline block is not shown: it stands between the blocks.
    return re.sub(
        r"( *)</span>",
        r"</span>\1",
        "".join(f'<span class="xh-phrase">{escape(part)}</span>' for part in text.split("|")),
    )
