"""What a browser session keeps: its turns, its language, and what the document pane shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xhqa.intent import Kind
from xhqa.types import Answer, Citation, Document, DocumentInfo, OutlineEntry, Passage

from .words import WORDS, Language, Words

Verdict = Literal["right", "wrong"]


# eq=False throughout: Gradio hashes what a session keeps, and an Answer holds a dict.
@dataclass(frozen=True, slots=True, eq=False)
class Aside:
    """A reply to what was no question: words of the page, with places in documents."""

    kind: Kind
    citations: tuple[Citation, ...] = ()
    outlines: tuple[tuple[Document, tuple[OutlineEntry, ...]], ...] = ()
    documents: tuple[DocumentInfo, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """A question and what came of it; nothing yet while it is sought.

    ``searched`` counts the documents that were looked in, ``hints`` are questions to ask instead.
    """

    question: str
    answer: Answer | None = None
    problem: str | None = None
    aside: Aside | None = None
    searched: int = 0
    hints: tuple[str, ...] = ()
    verdict: Verdict | None = None
    corrected: bool = False

    @property
    def done(self) -> bool:
        return any(part is not None for part in (self.answer, self.problem, self.aside))

    @property
    def citations(self) -> tuple[Citation, ...]:
        reply = self.answer or self.aside
        return reply.citations if reply else ()

    @property
    def nearest(self) -> tuple[Passage, ...]:
        return self.answer.nearest if self.answer else ()


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The document in the pane, the turn whose places are marked in it (0: none), and the HTML id
    that it is scrolled to."""

    document_id: str
    turn: int = 0
    focus: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """Kept per browser session, in memory only."""

    turns: tuple[Exchange, ...] = ()
    language: Language = "zh"
    shown: Shown | None = None

    @property
    def words(self) -> Words:
        return WORDS[self.language]
