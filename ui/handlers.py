"""What happens on each event of the page. Values go in and out; a test needs no browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import gradio as gr

from xhqa.errors import XhqaError
from xhqa.feedback import Feedback, FeedbackFile
from xhqa.intent import Wish, wish_of
from xhqa.pipeline import MAX_QUESTION
from xhqa.script import fold, language_of
from xhqa.suggest import Draft, Examples
from xhqa.types import Answer, Citation, Document, DocumentInfo, OutlineEntry, Turn

from . import pane, render
from .marks import escape
from .records import Aside, Exchange, Session, Shown, Verdict
from .words import Words

MAX_HISTORY = 20
# A refusal offers so many questions, a wish for an outline so many documents.
_INSTEAD = 2
_OUTLINES = 5

_ANCHOR = re.compile(r"xh-([cp])([0-9]{1,6})-([0-9]{1,6})")
_HEADING = re.compile(r"xh-h-[0-9]{1,9}")


class Service(Protocol):
    """What the page needs of the thing behind it; ``xhqa.Pipeline`` has it."""

    def ask(self, question: str, /, history: Sequence[Turn] = ()) -> Answer: ...

    @property
    def document_count(self) -> int: ...

    def documents(self) -> tuple[DocumentInfo, ...]: ...

    def document(self, document_id: str, /) -> Document: ...

    def outline(self, document_id: str, /) -> tuple[OutlineEntry, ...]: ...

    def summary(self, document_ids: Sequence[str] | None = None, /) -> tuple[Citation, ...]: ...

    def drafts(self, document_id: str, /) -> tuple[Draft, ...]: ...


Step = tuple[Any, ...]


class Handlers:
    """The page's events. Those that ask yield (question box, session, conversation, pane)."""

    def __init__(self, service: Service, feedback: FeedbackFile | None = None) -> None:
        self._service = service
        self._feedback = feedback
        self._examples = Examples(service)

    def open(self, chosen: str, request: gr.Request) -> tuple[Any, ...]:
        """A new page in the language chosen before, else in the browser's: session, conversation,
        pane, then what ``chrome`` has."""
        accepted = chosen or request.headers.get("accept-language", "")
        session = Session(language=language_of(accepted))
        return (*self._fresh(session), *chrome(session.words), self._hints(session))

    def renew(self, session: Session) -> tuple[Any, ...]:
        """A new conversation: session, conversation, pane."""
        return self._fresh(Session(language=session.language))

    def switch(self, session: Session) -> tuple[Any, ...]:
        """The other language: as ``open``, and what the browser is to remember."""
        session = replace(session, language="en" if session.language == "zh" else "zh")
        kept = session, self._talk(session), self._shown(session)
        return *kept, *chrome(session.words), self._hints(session), session.language

    def changed(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Documents were added or removed: session, conversation, pane, example questions. The
        pane shows the one that was added, or what there is."""
        chosen = event._data if isinstance(event._data, dict) else {}
        document = chosen.get("document")
        session = replace(session, shown=Shown(document) if isinstance(document, str) else None)
        return session, self._talk(session), self._shown(session), self._hints(session)

    def suggest(self, session: Session) -> str:
        """Questions for a newcomer; it may take a while to find them."""
        try:
            found: tuple[Draft, ...] = self._examples.get()
        except XhqaError:
            # The index is being changed: the page does without until the next visit.
            found = ()
        return render.hint_list([draft.question for draft in found], session.words)

    def submit(self, question: str, session: Session, event: gr.EventData) -> Iterator[Step]:
        """What a button says where one was used, else the box's question."""
        if isinstance(event._data, dict):
            yield from self.act(session, event)
        else:
            yield from self.ask(question, session)

    def ask(self, question: str, session: Session) -> Iterator[Step]:
        """The question at once, then the reply. The turn is only kept with the reply, so a
        question that is broken off leaves no trace."""
        question = question.strip()
        if not question:
            yield (gr.skip(),) * 4
            return
        pending = replace(session, turns=(*session.turns, Exchange(question)))
        yield "", gr.skip(), self._talk(pending), gr.skip()
        try:
            exchange = self._reply(question, session)
        except XhqaError as error:
            exchange = Exchange(question, problem=session.words.said(error))
        except Exception:
            exchange = Exchange(question, problem=session.words.fault)
            yield self._kept(session, exchange)
            raise
        yield self._kept(session, exchange)

    def act(self, session: Session, event: gr.EventData) -> Iterator[Step]:
        """A button of the conversation: an example, retry, edit, undo, a verdict."""
        chosen = event._data if isinstance(event._data, dict) else {}
        kind, question = chosen.get("act"), chosen.get("question")
        turns = session.turns
        if kind == "ask" and isinstance(question, str) and len(question) <= MAX_QUESTION:
            yield from self.ask(question, session)
        elif kind == "retry" and turns:
            yield from self.ask(turns[-1].question, replace(session, turns=turns[:-1]))
        elif kind in ("edit", "undo") and turns:
            box = turns[-1].question if kind == "edit" else gr.skip()
            session = replace(session, turns=turns[:-1], shown=_before(session))
            yield box, session, self._talk(session), self._shown(session)
        elif kind in ("right", "wrong", "correct"):
            yield from self._judge(kind, chosen, session)
        else:
            yield (gr.skip(),) * 4

    def show(self, session: Session, event: gr.EventData) -> tuple[Any, Any]:
        """(session, pane) for what was chosen: a citation or passage of some turn, a document, at
        one of its headings or at its top, or the list of documents."""
        chosen = event._data if isinstance(event._data, dict) else {}
        document, anchor = chosen.get("document"), str(chosen.get("anchor"))
        shown: Shown | None
        if chosen.get("shelf"):
            shown = None
        elif isinstance(document, str):
            shown = Shown(document, 0, anchor if _HEADING.fullmatch(anchor) else "")
        else:
            place = _ANCHOR.fullmatch(anchor)
            if place is None or not 1 <= int(place[2]) <= len(session.turns):
                return gr.skip(), gr.skip()
            turn = int(place[2])
            found = _place(session.turns[turn - 1], place[1], int(place[3]))
            if found is None:
                return gr.skip(), gr.skip()
            shown = Shown(found, turn, anchor)
        session = replace(session, shown=shown)
        return session, self._shown(session)

    def _reply(self, question: str, session: Session) -> Exchange:
        wish = wish_of(question, talking=any(turn.citations for turn in session.turns))
        if wish is not None and not self._is_of_no_document(wish, session):
            return Exchange(question, aside=self._aside(wish, session))
        answer = self._service.ask(question, history=_history(session.turns))
        searched = self._service.document_count
        if answer.answerable:
            return Exchange(question, answer, searched=searched)
        # Finding examples may take a while, in which nothing else could be asked.
        hints = () if self._examples.known() is None else self._instead(answer)
        return Exchange(question, answer, searched=searched, hints=hints)

    def _is_of_no_document(self, wish: Wish, session: Session) -> bool:
        """《红楼梦》有多少章: some document may say so of a book that is none of them."""
        named = wish.kind in ("outline", "summary") and wish.title is not None
        return named and not _meant(wish, self._service.documents(), session)

    def _aside(self, wish: Wish, session: Session) -> Aside:
        if wish.kind not in ("summary", "outline", "documents"):
            return Aside(wish.kind)
        documents = self._service.documents()
        if wish.kind == "documents":
            return Aside(wish.kind, documents=documents)
        wanted = _meant(wish, documents, session)
        if wish.kind == "summary":
            return Aside(wish.kind, self._service.summary(wanted) if wanted else ())
        outlines = tuple(
            (self._service.document(name), self._service.outline(name))
            for name in wanted[:_OUTLINES]
        )
        return Aside(wish.kind, outlines=outlines)

    def _instead(self, answer: Answer) -> tuple[str, ...]:
        """Questions that are answered, first those about the documents that came nearest."""
        try:
            found = self._examples.get()
        except XhqaError:
            return ()
        near = [passage.document_id for passage in answer.nearest]
        ranked = sorted(found, key=lambda draft: draft.document_id not in near)
        return tuple(draft.question for draft in ranked[:_INSTEAD])

    def _judge(self, kind: str, chosen: dict[str, Any], session: Session) -> Iterator[Step]:
        number, text = chosen.get("turn"), chosen.get("answer")
        judged = None
        if isinstance(number, int) and 1 <= number <= len(session.turns):
            judged = session.turns[number - 1]
        if self._feedback is None or judged is None or judged.answer is None:
            yield (gr.skip(),) * 4
            return
        assert isinstance(number, int)
        verdict: Verdict = "right" if kind == "right" else "wrong"
        right_answer = text[:500] if kind == "correct" and isinstance(text, str) else None
        history = _history(session.turns[: number - 1])
        try:
            self._feedback.add(Feedback.of(judged.answer, history, verdict, right_answer))
        except XhqaError as error:
            raise gr.Error(session.words.said(error), print_exception=False) from error
        judged = replace(judged, verdict=verdict, corrected=kind == "correct")
        turns = (*session.turns[: number - 1], judged, *session.turns[number:])
        session = replace(session, turns=turns)
        yield gr.skip(), session, self._talk(session), gr.skip()

    def _fresh(self, session: Session) -> tuple[Any, ...]:
        try:
            documents = self._service.documents()
        except XhqaError as error:
            said = session.words.said(error)
            return session, render.problem_card(said, session.words), pane.pane_problem(said)
        if len(documents) == 1:
            # One document needs no choosing.
            session = replace(session, shown=Shown(documents[0].id))
        return session, self._talk(session), self._shown(session)

    def _talk(self, session: Session) -> str:
        # Only an empty conversation asks how many documents there are.
        count = 1 if session.turns else self._service.document_count
        kept = self._feedback is not None
        return render.conversation(session.turns, count, session.words, kept)

    def _hints(self, session: Session) -> str:
        try:
            known = self._examples.known()
            empty = not self._service.document_count
        except XhqaError:
            known, empty = (), True
        questions = [draft.question for draft in known or ()]
        return render.hint_list(questions if empty or known is not None else None, session.words)

    def _kept(self, session: Session, exchange: Exchange) -> Step:
        session = replace(session, turns=(*session.turns, exchange))
        shown = _first_place(exchange, len(session.turns))
        before = session.shown
        if exchange.answer and not exchange.answer.answerable and before and before.turn:
            # The marks of an earlier answer would pass for this one's.
            shown = Shown(before.document_id)
        if shown is None:
            return gr.skip(), session, self._talk(session), gr.skip()
        session = replace(session, shown=shown)
        return gr.skip(), session, self._talk(session), self._shown(session)

    def _shelf(self, words: Words) -> str:
        try:
            return pane.shelf(self._service.documents(), words)
        except XhqaError as error:
            return pane.pane_problem(words.said(error))

    def _shown(self, session: Session) -> str:
        shown, words = session.shown, session.words
        if shown is None:
            return self._shelf(words)
        exchange = session.turns[shown.turn - 1] if shown.turn else None
        try:
            document = self._service.document(shown.document_id)
            outline = self._service.outline(shown.document_id)
        except XhqaError as error:
            return pane.pane_problem(words.gone.format(words.said(error)), words)
        return pane.document_pane(document, outline, shown.turn, exchange, shown.focus, words)


def chrome(words: Words) -> tuple[Any, ...]:
    """What stands around the conversation: the head, question box, buttons and switch."""
    tagline = pane.phrases(words.tagline)
    head = f'<h1 class="xh-title">{words.title}</h1><p class="xh-tagline">{tagline}</p>'
    add = (
        '<input type="file" multiple hidden tabindex="-1" aria-hidden="true">'
        f'<button type="button" data-words="{escape(json.dumps(words.adding))}">'
        f"{words.add}</button>"
    )
    return (
        head,
        add,
        gr.update(label=words.question, placeholder=words.placeholder, submit_btn=words.send),
        gr.update(value=words.new),
        gr.update(value=words.other_language),
    )


def _history(turns: Sequence[Exchange]) -> tuple[Turn, ...]:
    """The turns that questions may lean on."""
    asked = (Turn(past.question, past.answer.text) for past in turns if past.answer is not None)
    return tuple(asked)[-MAX_HISTORY:]


def _meant(wish: Wish, documents: Sequence[DocumentInfo], session: Session) -> list[str]:
    """The documents that a wish is about: the one it names, else the one cited last, else all."""
    known = [info.id for info in documents]
    if wish.title is not None:
        title = _plain(wish.title)
        return [info.id for info in documents if title in _called(info)] or [
            info.id for info in documents if title in _plain(info.title)
        ]
    for turn in reversed(session.turns):
        for citation in turn.citations:
            if citation.document_id in known:
                return [citation.document_id]
    return known


def _called(info: DocumentInfo) -> set[str]:
    """What a document may be called: by its title, its id, its file with and without the ending."""
    stem = info.source_name.rpartition(".")[0]
    return {_plain(name) for name in (info.title, info.id, info.source_name, stem) if name}


def _plain(name: str) -> str:
    return fold(name).lower().strip()


def _place(exchange: Exchange, kind: str, index: int) -> str | None:
    """The document that citation or passage ``index`` of ``exchange`` stands in."""
    if kind == "c":
        return next((c.document_id for c in exchange.citations if c.index == index), None)
    if 1 <= index <= len(exchange.nearest):
        return exchange.nearest[index - 1].document_id
    return None


def _first_place(exchange: Exchange, turn: int) -> Shown | None:
    """What the pane shows with a new reply."""
    if exchange.citations:
        first = exchange.citations[0]
        return Shown(first.document_id, turn, pane.citation_anchor(turn, first.index))
    return None


def _before(session: Session) -> Shown | None:
    """What the pane shows once the last turn is gone."""
    shown = session.shown
    if shown is not None and shown.turn == len(session.turns):
        return Shown(shown.document_id)
    return shown
