"""The stages put together: open an index, ask it, change it."""

from __future__ import annotations

import errno
import hashlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from xhqa.answer import calibration_of, compose, passage_of
from xhqa.config import Settings, load_settings
from xhqa.converse import leans, readings, standalone, unsaid
from xhqa.dictionary import Dictionary, Translator, open_dictionary
from xhqa.digest import evenly, outline, summary
from xhqa.encode import Encoder, Vectors, encoder_of
from xhqa.errors import InputError, NotFoundError, StorageFullError, XhqaError
from xhqa.index import Change, Changing, Entry, Held, Index, corpus_of
from xhqa.lexical import overlap as overlap_of
from xhqa.load import load
from xhqa.named import Gazetteer
from xhqa.read import CloseReader, Reader
from xhqa.read.sentence import SentenceReader
from xhqa.read.supported import SupportedReader
from xhqa.retrieve import Retriever
from xhqa.script import fold
from xhqa.session import KEPT
from xhqa.suggest import Draft, drafts
from xhqa.types import (
    Answer,
    Chunk,
    Citation,
    Document,
    DocumentInfo,
    Hit,
    OutlineEntry,
    Passage,
    Span,
    Turn,
)

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

logger = logging.getLogger(__name__)

MAX_QUESTION = 1000
# How many documents, and passages of them all, a summary looks at.
_SUMMARISED, _SUMMARISED_PASSAGES = 64, 640
# How many times as well supported a question that leans on history must be as it stands than
# completed; one that is only short, completed than as it stands.
_CLEARLY = 2.0


# When it was worked out, on the clock of ``time.perf_counter``, and the answer.
_Worked = tuple[float, Answer]


@dataclass(frozen=True, slots=True)
class _State:
    """What one question is answered with, from its start to its end.

    ``answers`` works out an answer, or has kept it; it goes with the index whose answers they are.
    """

    index: Index
    reader: Reader
    answers: _lru_cache_wrapper[_Worked] = field(compare=False)


class Pipeline:
    """Answers questions from an index. Safe to use from several threads."""

    def __init__(
        self,
        index: Index,
        encoder: Encoder,
        settings: Settings,
        reader: CloseReader | None = None,
        translator: Translator | None = None,
    ) -> None:
        """The light sentence reader, over ``encoder``, reads alone or supports ``reader``.

        ``translator`` helps questions that are not in Chinese; the words stay as they are without.
        """
        self._encoder = encoder
        self._reader = reader
        self._translator = translator or Dictionary(dict)
        self._settings = settings
        self._corpus = corpus_of(settings)
        self._retriever = Retriever(encoder, self._translator)
        self._changing = threading.Lock()
        self._progress: tuple[str, int, int] | None = None
        self._state = self._state_of(index)

    @classmethod
    def open(
        cls,
        index_dir: str | Path | None = None,
        settings: Settings | None = None,
        encoder: Encoder | None = None,
        notify: Callable[[str], None] = lambda message: None,
    ) -> Pipeline:
        """Open the index in ``index_dir`` (``XHQA_INDEX_DIR`` unless given); ``encoder`` saves
        loading it once more. ``notify`` is told before slow work, the first conversion, starts.

        Raises NotFoundError without an index, IndexDamagedError, ModelError.
        """
        settings = settings or load_settings()
        if index_dir is not None:
            settings = settings.model_copy(update={"index_dir": Path(index_dir)})
        corpus = corpus_of(settings)
        if not corpus.exists():
            variable = "XHQA_MILVUS_URI" if settings.store == "milvus" else "XHQA_INDEX_DIR"
            raise NotFoundError(
                f"there is no index in {corpus.place}: run `xhqa index`, or set {variable}"
            )
        encoder = encoder or encoder_of(settings, notify)
        index = corpus.open(encoder)
        dictionary = open_dictionary(settings.cache_dir)
        return cls(index, encoder, settings, reader_of(settings, notify), dictionary)

    @property
    def ready(self) -> bool:
        return True

    @property
    def progress(self) -> tuple[str, int, int] | None:
        """Of a change to the index that is under way: stage, number done, total."""
        return self._progress

    @property
    def gazetteer(self) -> Gazetteer:
        """What names are, for ``xhqa.answer.features``."""
        return self._translator

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 5,
        document_ids: Sequence[str] | None = None,
    ) -> Answer:
        """Answer from the ``top_k`` best passages; raises InputError for an empty or too long
        question, NotFoundError for an unknown document id.

        One of the last questions asked again gets the same answer at once.
        """
        began = time.perf_counter()
        state = self._scope(document_ids)
        among = None if document_ids is None else tuple(document_ids)
        made, answer = state.answers(state, _checked(question), tuple(history), top_k, among)
        if self._state.answers is not state.answers:
            _forget(state)  # The index changed meanwhile.
        if made < began:
            total = (time.perf_counter() - began) * 1000
            answer = replace(answer, timings_ms={"retrieve": 0.0, "read": 0.0, "total": total})
        return answer

    def _work_out(
        self,
        state: _State,
        question: str,
        history: tuple[Turn, ...],
        top_k: int,
        document_ids: tuple[str, ...] | None,
    ) -> _Worked:
        began = time.perf_counter()
        spent = {"retrieve": 0.0, "read": 0.0}
        calibration = calibration_of(state.reader.name, question)
        document = cache(state.index.document)
        as_it_stands = _CLEARLY if leans(question, history) else 1 / _CLEARLY
        best: tuple[float, str, list[Hit], list[Span]] | None = None
        for reading in (*readings(question, history), question):
            hurdle = as_it_stands if reading == question else 1.0
            if best is not None and hurdle * best[0] >= 1:
                continue  # No probability is above that.
            started = time.perf_counter()
            asked = fold(reading)
            hits = self._retriever.find(state.index, asked, top_k, document_ids)
            retrieved = time.perf_counter()
            spans = state.reader.read(asked, hits)
            # A sentence that has answered once may hold another answer.
            if reading != question and state.reader.name != SentenceReader.name:
                spans = unsaid(question, spans, history)
            spent["retrieve"] += (retrieved - started) * 1000
            spent["read"] += (time.perf_counter() - retrieved) * 1000
            confidence = calibration.probability(asked, spans, document, self.gazetteer)
            if best is None or confidence > hurdle * best[0]:
                best = confidence, reading, hits, spans
        assert best is not None
        confidence, reading, hits, spans = best
        threshold = self._settings.min_confidence
        answer = compose(
            question,
            reading,
            spans,
            hits,
            confidence,
            calibration.threshold if threshold is None else threshold,
            document,
            lambda span: calibration.probability(fold(reading), [span], document, self.gazetteer),
            spent | {"total": (time.perf_counter() - began) * 1000},
        )
        if not state.index.document_count:
            answer = replace(answer, refusal_reason="empty_index")
        return time.perf_counter(), answer

    def warm_up(self) -> None:
        """Load what the first question would have to wait for: word lists, the tagger."""
        try:
            # It has a name in it: what are names is read for one.
            self.ask("上海有哪些人？")
        except XhqaError as error:
            logger.warning("the first question cannot be answered: %s", error)

    def prepare(self) -> None:
        """Do what reading takes whatever the question, where there is room to keep it for all
        passages. Ends early with the program, and where another thread changes the index."""
        index = self._state.index
        if len(index) > KEPT:
            return
        reader = self._state.reader
        try:
            for info in index.documents():
                for chunk in index.chunks(info.id):
                    if not threading.main_thread().is_alive() or self._state.index is not index:
                        return
                    reader.prepare(chunk)
        except XhqaError as error:
            logger.warning("passages are not prepared, but read as they are asked for: %s", error)

    def search(
        self,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 10,
        document_ids: Sequence[str] | None = None,
    ) -> tuple[Hit, ...]:
        """The best passages for the most likely reading, without reading them."""
        state = self._scope(document_ids)
        question = _checked(question)
        reading = standalone(question, history)
        return tuple(self._retriever.find(state.index, fold(reading), top_k, document_ids))

    def passages(
        self, question: str, top_k: int = 5, document_ids: Sequence[str] | None = None
    ) -> tuple[Passage, ...]:
        """What ``search`` finds, as it stands in the documents."""
        state = self._scope(document_ids)
        hits = self._retriever.find(state.index, fold(_checked(question)), top_k, document_ids)
        document = cache(state.index.document)
        return tuple(passage_of(hit, document(hit.chunk.document_id)) for hit in hits)

    def candidates(self, question: str, top_k: int = 5) -> tuple[list[Hit], list[Span]]:
        """What retrieval and reading find, before anything is decided: for calibration."""
        state = self._state
        asked = fold(_checked(question))
        hits = self._retriever.find(state.index, asked, top_k)
        return hits, state.reader.read(asked, hits)

    @property
    def document_count(self) -> int:
        return self._state.index.document_count

    @property
    def passage_count(self) -> int:
        return len(self._state.index)

    def documents(self) -> tuple[DocumentInfo, ...]:
        return self._state.index.documents()

    def document(self, document_id: str) -> Document:
        """Raises NotFoundError where there is none."""
        return self._state.index.document(document_id)

    def outline(self, document_id: str) -> tuple[OutlineEntry, ...]:
        """The document's headings, in order; raises NotFoundError where there is no document."""
        index = self._state.index
        index.document(document_id)
        return outline(index.chunks(document_id))

    def summary(self, document_ids: Sequence[str] | None = None) -> tuple[Citation, ...]:
        """Sentences that stand for these documents (unset: for all); raises NotFoundError."""
        index = self._state.index
        if document_ids is None:
            document_ids = [info.id for info in index.documents()]
        chosen = evenly(document_ids, _SUMMARISED)
        each = _SUMMARISED_PASSAGES // max(1, len(chosen))
        found = [(index.document(d), evenly(index.chunks(d), each)) for d in chosen]
        return summary(found, index)

    def drafts(self, document_id: str) -> tuple[Draft, ...]:
        """Questions that the document may answer, not asked yet; raises NotFoundError."""
        index = self._state.index
        index.document(document_id)
        return drafts(index.chunks(document_id))

    def described(self, document_id: str) -> tuple[DocumentInfo, Document]:
        """A document and what is known of it at one moment; raises NotFoundError."""
        index = self._state.index.view()
        return index.info(document_id), index.document(document_id)

    def add(self, name: str, data: bytes) -> DocumentInfo:
        """Index one uploaded file; one of the same name is replaced. Raises InputError, BusyError.

        A file whose name differs from that of the same id only in what an id leaves out, say its
        ending, gets an id of its own.
        """
        loaded = load(data, name)
        digest = hashlib.sha256(loaded.source_name.encode("utf-8", "surrogateescape")).hexdigest()
        other = f"{loaded.id}-{digest[:8]}"
        placed = loaded

        def change(held: Mapping[str, Held]) -> Change:
            nonlocal placed
            there, before = held.get(loaded.id), held.get(other)
            again = before and before.source_name == loaded.source_name
            if again or (there and there.source_name != loaded.source_name):
                placed = replace(loaded, id=other)
            return Change([Entry(placed, uploaded=True)])

        index = self._change(change)
        return index.info(placed.id)

    def remove(self, document_id: str) -> None:
        """Raises NotFoundError where there is none, BusyError."""
        self.document(document_id)
        self._change(lambda held: Change(remove=[document_id]))

    def _change(self, change: Changing) -> Index:
        def report(stage: str, done: int, total: int) -> None:
            self._progress = stage, done, total

        with self._changing:
            try:
                index = self._corpus.change(change, self._encoder, report)
            except (OSError, sqlite3.OperationalError) as error:
                if not _is_full(error):
                    raise
                raise StorageFullError(
                    f"there is no room left for the index in {self._corpus.place}: free some space "
                    "and try again; the index is as it was"
                ) from error
            finally:
                self._progress = None
            before, self._state = self._state, self._state_of(index)
            _forget(before)
            return index

    def _state_of(self, index: Index) -> _State:
        def similarity(question: str, chunk: Chunk) -> Vectors:
            return index.sentence_vectors(chunk) @ self._retriever.vector(index, question)

        def overlap(question: str, texts: Sequence[str]) -> Vectors:
            words = self._retriever.words(question)
            return overlap_of(words, index.word_weights(words), texts)

        sentences = SentenceReader(similarity, overlap)
        reader = SupportedReader(self._reader, sentences) if self._reader else sentences
        # What a Milvus holds may change at any time.
        kept = self._settings.kept_answers if self._settings.store == "faiss" else 0
        return _State(index, reader, lru_cache(kept)(self._work_out))

    def _scope(self, document_ids: Sequence[str] | None) -> _State:
        """What one question is answered with; NotFoundError for an unknown document id."""
        state = self._state
        for document_id in document_ids or ():
            if not state.index.holds(document_id):
                raise NotFoundError(
                    f"document_ids: there is no document {document_id!r}: see GET /documents"
                )
        return replace(state, index=state.index.view())


def _forget(state: _State) -> None:
    """Keep no answers of an index that is another by now. They lead back to it, in a ring that the
    garbage collector does not see of what was there at the start (``memory.uncollected``)."""
    state.answers.cache_clear()


def _is_full(error: OSError | sqlite3.OperationalError) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return error.sqlite_errorcode == sqlite3.SQLITE_FULL


def _checked(question: str) -> str:
    question = question.strip()
    if not question:
        raise InputError("the question is empty: ask something")
    if len(question) > MAX_QUESTION:
        raise InputError(
            f"the question has {len(question)} characters: shorten it to {MAX_QUESTION}"
        )
    return question


def reader_of(
    settings: Settings, notify: Callable[[str], None] = lambda message: None
) -> CloseReader | None:
    """The reader the settings name; None for the sentence reader, which needs an index.

    Raises ModelError where it cannot be loaded.
    """
    if settings.reader == "sentence":
        return None
    from xhqa.read.span import BUNDLED, SpanReader

    path = BUNDLED if settings.reader == "span" else Path(settings.reader)
    return SpanReader.load(path, settings, notify)
