"""A service with answers written down beforehand, so that the page's tests need no model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import gradio as gr
import pytest
from fastapi import FastAPI
from xhqa_ui import build_page, mount_options

from xhqa.errors import NotFoundError
from xhqa.feedback import FeedbackFile
from xhqa.suggest import Draft
from xhqa.types import Answer, Citation, Document, DocumentInfo, OutlineEntry, Passage, Turn


@dataclass
class FakeService:
    docs: Sequence[Document]
    replies: Mapping[str, Answer | Exception] = field(default_factory=dict)
    asked: list[tuple[str, tuple[Turn, ...]]] = field(default_factory=list)
    headings: Mapping[str, tuple[OutlineEntry, ...]] = field(default_factory=dict)
    made: Mapping[str, tuple[Draft, ...]] = field(default_factory=dict)

    ready = True
    progress = None

    def ask(
        self,
        question: str,
        /,
        history: Sequence[Turn] = (),
        top_k: int = 5,
        document_ids: Sequence[str] | None = None,
    ) -> Answer:
        self.asked.append((question, tuple(history)))
        reply = self.replies.get(question)
        if isinstance(reply, Exception):
            raise reply
        return reply or Answer(question, question, None, 0.1, "no_evidence")

    @property
    def document_count(self) -> int:
        return len(self.documents())

    @property
    def passage_count(self) -> int:
        return self.document_count

    def documents(self) -> tuple[DocumentInfo, ...]:
        return tuple(
            DocumentInfo(d.id, d.title, d.source_name, d.sha256, len(d.text), 1, d.media_type)
            for d in self.docs
        )

    def described(self, document_id: str, /) -> tuple[DocumentInfo, Document]:
        document = self.document(document_id)
        return next(info for info in self.documents() if info.id == document_id), document

    def outline(self, document_id: str, /) -> tuple[OutlineEntry, ...]:
        self.document(document_id)
        return self.headings.get(document_id, ())

    def summary(self, document_ids: Sequence[str] | None = None, /) -> tuple[Citation, ...]:
        """The first line of each document."""
        lines = [(d, d.text.strip().split("\n")[0]) for d in self.docs if d.id in document_ids]
        return tuple(make_citation(d, line, line, n) for n, (d, line) in enumerate(lines, 1))

    def drafts(self, document_id: str, /) -> tuple[Draft, ...]:
        return self.made.get(document_id, ())

    def document(self, document_id: str, /) -> Document:
        for document in self.docs:
            if document.id == document_id:
                return document
        raise NotFoundError(f"no document {document_id!r}")


def make_document(text: str, id: str = "a", title: str = "甲") -> Document:
    return Document(id, title, text, f"{id}.txt", "0" * 64, "text/plain")


def make_citation(
    document: Document, cited: str, context: str, index: int = 1, section: str = "小节"
) -> Citation:
    """The first place in ``document`` where ``context`` stands, and ``cited`` in it."""
    at = document.text.index(context)
    start = document.text.index(cited, at)
    return Citation(
        index=index,
        document_id=document.id,
        document_title=document.title,
        section_path=(section,) if section else (),
        page=None,
        cited_text=cited,
        start_char_index=start,
        end_char_index=start + len(cited),
        context=context,
        context_start_char_index=at,
        score=0.9,
    )


def make_answer(*citations: Citation, question: str = "问") -> Answer:
    return Answer(question, question, citations[0].cited_text, 0.9, citations=citations)


def make_refusal(*passages: Passage, question: str = "问") -> Answer:
    return Answer(question, question, None, 0.1, "no_evidence", nearest=passages)


def make_passage(document: Document, text: str, section: str = "小节") -> Passage:
    at = document.text.index(text)
    return Passage(document.id, (section,), at, at + len(text), text, 0.3)


def mount(app: FastAPI, service: FakeService, feedback: FeedbackFile | None = None) -> None:
    """In an event loop, as Gradio would else leave one open; in a thread, as Playwright has one
    running in this one."""

    async def in_a_loop() -> None:
        gr.mount_gradio_app(app, build_page(service, feedback), path="/", **mount_options())

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(in_a_loop())).result()


@dataclass(frozen=True)
class Make:
    """What the tests build records with; a fixture, as test folders are not packages."""

    document: Callable[..., Document] = make_document
    citation: Callable[..., Citation] = make_citation
    answer: Callable[..., Answer] = make_answer
    refusal: Callable[..., Answer] = make_refusal
    passage: Callable[..., Passage] = make_passage
    service: Callable[..., FakeService] = FakeService
    mount: Callable[..., None] = mount


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()
