"""The JSON that goes in and out, as in ``docs/contract.md``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from xhqa import types

QUESTION_CHARACTERS = 1000


def _integral(value: object) -> object:
    """A whole number written with a fraction is an integer to JSON Schema: 5.0 is 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _readable(text: str) -> str:
    """The text itself; an error where it holds what no text file could: NUL, half a surrogate."""
    if "\0" in text:
        raise PydanticCustomError("nul", "should hold no NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise PydanticCustomError("surrogate", "should be Unicode text, without lone surrogates")
    return text


def _question(text: str) -> str:
    """The trimmed question, 1 to ``QUESTION_CHARACTERS`` characters long."""
    text = _readable(text).strip()
    if not 1 <= len(text) <= QUESTION_CHARACTERS:
        raise PydanticCustomError(
            "question_length",
            "should be 1 to {limit} characters long without the space around it, not {length}",
            {"limit": QUESTION_CHARACTERS, "length": len(text)},
        )
    return text


def encodable(value: Any) -> Any:
    """A string that UTF-8 can encode; lone surrogates become U+FFFD, one for one, so that
    offsets stay right. Other values are returned as they are."""
    if not isinstance(value, str):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
    return value


Readable = Annotated[
    str,
    AfterValidator(_readable),
    WithJsonSchema({"type": "string", "pattern": r"^[^\x00]*$"}),
]
Question = Annotated[
    str,
    AfterValidator(_question),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": QUESTION_CHARACTERS,
            # Python's white space has separators in it that \s of JSON Schema has not.
            "pattern": r"^[^\x00]*[^\s\x00\x1c-\x1f\x85][^\x00]*$",
        }
    ),
]
Text = Annotated[str, BeforeValidator(encodable)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Response(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class Turn(_Request):
    """An earlier question and what was answered; `answer` is null where it was refused."""

    question: Question
    answer: Readable | None = None


class AskRequest(_Request):
    """A question, with the turns before it where it leans on them."""

    question: Annotated[
        Question,
        Field(
            description="1 to 1,000 characters after trimming.",
            examples=["徐汇有多少家大模型企业？"],
        ),
    ]
    history: list[Turn] = Field([], max_length=20, description="Earlier turns, oldest first.")
    top_k: Annotated[
        int,
        Field(strict=True, ge=1, le=50, description="How many passages to find."),
        BeforeValidator(_integral),
    ] = 5
    document_ids: Annotated[list[Readable], Field(max_length=1000)] | None = Field(
        None, description="Look in these documents only; null: in all."
    )


class Passage(_Response):
    """A stretch of a document: `text == document.text[start_char_index:end_char_index]`."""

    document_id: Text
    section_path: list[Text]
    start_char_index: int
    end_char_index: int
    text: Text
    score: float
    found_by: list[types.Side] = Field(
        description="Where it was among the best: by meaning (`dense`), by words (`lexical`)."
    )


class Citation(_Response):
    """Where an answer stands: `cited_text == document.text[start_char_index:end_char_index]`."""

    index: int
    document_id: Text
    document_title: Text
    section_path: list[Text]
    page: int | None
    cited_text: Text
    start_char_index: int
    end_char_index: int
    context: Text
    context_start_char_index: int
    score: float


class Timings(_Response):
    """Milliseconds."""

    retrieve: float = 0.0
    read: float = 0.0
    total: float = 0.0


class AskResponse(_Response):
    """An answer in the words of a document, or a refusal: then `answer` is null,
    `refusal_reason` says why, and `nearest` holds what came closest."""

    question: Text
    standalone_question: Text
    answerable: bool
    answer: Text | None
    confidence: float = Field(description="Probability that the answer is right.")
    refusal_reason: types.RefusalReason | None
    citations: list[Citation]
    nearest: list[Passage]
    passages: list[Passage]
    offset_unit: Literal["unicode_codepoint"]
    timings_ms: Timings

    @classmethod
    def of(cls, answer: types.Answer) -> AskResponse:
        """The response to a question that came to ``answer``."""
        return cls(
            question=answer.question,
            standalone_question=answer.standalone_question,
            answerable=answer.answerable,
            answer=answer.text,
            confidence=answer.confidence,
            refusal_reason=answer.refusal_reason,
            citations=[Citation.model_validate(citation) for citation in answer.citations],
            nearest=[Passage.model_validate(passage) for passage in answer.nearest],
            passages=[Passage.model_validate(passage) for passage in answer.passages],
            offset_unit="unicode_codepoint",
            timings_ms=Timings(**answer.timings_ms),
        )


class DocumentInfo(_Response):
    """A document in the index."""

    id: Text
    title: Text
    source_name: Text = Field(description="Path below the indexed folder, or the uploaded name.")
    sha256: Text
    characters: int
    chunks: int
    media_type: Text


class Document(DocumentInfo):
    """A document in the index, with the text that citations point into."""

    text: Text

    @classmethod
    def of(cls, info: types.DocumentInfo, text: str) -> Document:
        """``info`` with the document's text."""
        return cls(**DocumentInfo.model_validate(info).model_dump(), text=text)


class Live(_Response):
    """The process answers."""

    status: Literal["live"] = "live"


class Ready(_Response):
    """An index and models are loaded."""

    status: Literal["ready"] = "ready"


class Progress(_Response):
    """How far a change to the index is: ``done`` of ``total`` in ``stage``, null without one."""

    stage: str | None = Field(examples=["embed"])
    done: int
    total: int

    @classmethod
    def of(cls, progress: tuple[str, int, int] | None) -> Progress:
        stage, done, total = progress or (None, 0, 0)
        return cls(stage=stage, done=done, total=total)
