"""The records that pass from stage to stage. All are frozen; offsets are Unicode code points."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

RefusalReason = Literal["no_evidence", "low_confidence", "empty_index"]
Side = Literal["dense", "lexical"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that the format itself marks: ``document.text[start:end]``, level 1 the highest."""

    start: int
    end: int
    level: int


@dataclass(frozen=True, slots=True)
class Document:
    """A loaded file. ``text`` is what citations point into: the decoded text, untouched, or what
    was taken out of a format that is more than text.

    ``headings`` are those the format marks, in order; ``pages`` the offsets at which its pages
    start, ascending. Both are empty where the format has none.
    """

    id: str
    title: str
    text: str
    source_name: str
    sha256: str
    media_type: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()

    def page(self, at: int) -> int | None:
        """The page, from 1, on which the character at ``at`` stands; None without pages."""
        return max(1, bisect_right(self.pages, at)) if self.pages else None


@dataclass(frozen=True, slots=True)
class View:
    """Repaired text with the way back: ``text[i]`` came from ``document.text[origin[i]]``.

    ``origin`` has the length of ``text`` and never decreases.
    """

    text: str
    origin: Sequence[int]

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """The half-open source range that the non-empty view range [start, end) came from."""
        if not 0 <= start < end <= len(self.text):
            raise ValueError(f"empty or outside: [{start}, {end}) of {len(self.text)}")
        return self.origin[start], self.origin[end - 1] + 1


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a view under one heading path; ``start`` and ``end`` are view offsets."""

    path: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """An entry of a document's outline: ``level`` counts from 1, the offset is into
    ``document.text``."""

    name: str
    level: int
    start_char_index: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: the unit that is embedded, found and read.

    ``start`` and ``end`` are offsets into ``document.text``. ``view`` is the repaired passage;
    its origins are absolute offsets into ``document.text`` too.
    ``sentences`` are half-open ranges into ``view.text``, in order, without overlap.
    """

    id: str
    document_id: str
    section_path: tuple[str, ...]
    start: int
    end: int
    view: View
    sentences: tuple[tuple[int, int], ...]

    @property
    def text(self) -> str:
        return self.view.text


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved chunk. Higher scores are better; scores of one retriever compare across
    questions. ``dense`` is the similarity of the vectors, ``lexical`` the share of the question's
    words that were found, ``found_by`` says on which sides it was among the best."""

    chunk: Chunk
    score: float
    dense: float
    lexical: float
    found_by: tuple[Side, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A candidate answer: ``chunk.text[start:end]``. ``score`` compares across chunks.

    What it is made of: ``null_margin``, in logits, is how far the span reader prefers it to "no
    answer", ``support`` what the sentence reader gives its sentence.
    """

    chunk: Chunk
    start: int
    end: int
    score: float
    null_margin: float = 0.0
    support: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier turn of a conversation; ``answer`` is None where it was refused."""

    question: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document as shown to the user: ``text == document.text[start:end]``.
    ``found_by``: on which sides of the search it was among the best."""

    document_id: str
    section_path: tuple[str, ...]
    start_char_index: int
    end_char_index: int
    text: str
    score: float
    found_by: tuple[Side, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """Where an answer stands: ``cited_text == document.text[start_char_index:end_char_index]``."""

    index: int
    document_id: str
    document_title: str
    section_path: tuple[str, ...]
    page: int | None
    cited_text: str
    start_char_index: int
    end_char_index: int
    context: str
    context_start_char_index: int
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question came to. ``text`` is None in a refusal, and then ``citations`` is empty.

    ``confidence`` is a probability; ``timings_ms`` has the milliseconds of each stage.
    """

    question: str
    standalone_question: str
    text: str | None
    confidence: float
    refusal_reason: RefusalReason | None = None
    citations: tuple[Citation, ...] = ()
    nearest: tuple[Passage, ...] = ()
    passages: tuple[Passage, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)

    @property
    def answerable(self) -> bool:
        return self.text is not None


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """What is known of an indexed document: ``characters`` of its text, ``chunks`` in the index."""

    id: str
    title: str
    source_name: str
    sha256: str
    characters: int
    chunks: int
    media_type: str
