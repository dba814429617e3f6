"""The documents as tools of the Model Context Protocol, for assistants that speak it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import BaseModel, Field

from xhqa import types
from xhqa.api.asking import Asked
from xhqa.api.models import AskResponse, Passage
from xhqa.errors import ModelError, XhqaError

if TYPE_CHECKING:
    from mcp.server import MCPServer

_INSTRUCTIONS = (
    "Finds answers in a fixed set of documents and quotes them word for word, with the place. "
    "`ask` gives the exact words that answer a question, or says that the documents do not answer "
    "it: then do not answer from elsewhere as if it stood in them. `search` finds passages on a "
    "subject, `read_document` reads around a place."
)
_LENGTH = 4000

Question = Annotated[
    str, Field(description="One question, in Chinese or English, that stands on its own.")
]
DocumentIds = Annotated[
    list[str] | None, Field(description="Look in these documents only; null: in all.")
]


class Excerpt(BaseModel):
    """`text == document.text[start_char_index:end_char_index]`; offsets are code points."""

    document_id: str
    title: str
    start_char_index: int
    end_char_index: int
    characters: int = Field(description="Length of the whole document.")
    text: str


class Library(Asked, Protocol):
    """What the tools need; ``xhqa.Pipeline`` has it."""

    def passages(
        self, question: str, top_k: int = 5, document_ids: Sequence[str] | None = None
    ) -> tuple[types.Passage, ...]: ...

    def document(self, document_id: str) -> types.Document: ...


def build_server(library: Library, version: str) -> MCPServer[Any]:
    """The server with its tools ``ask``, ``search`` and ``read_document``.

    Raises ModelError where the package ``mcp`` is not installed.
    """
    try:
        from mcp.server import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp.types import ToolAnnotations
    except ImportError as error:
        raise ModelError(
            "`xhqa mcp` needs an extra: in xhqa's folder, pip install '.[mcp]'"
        ) from error

    server = MCPServer("xhqa", instructions=_INSTRUCTIONS, version=version)
    reads = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

    @contextmanager
    def told() -> Iterator[None]:
        """Errors raised on purpose reach the assistant in their own words."""
        try:
            yield
        except XhqaError as error:
            raise ToolError(str(error)) from error

    @server.tool(annotations=reads)
    def ask(question: Question, document_ids: DocumentIds = None) -> AskResponse:
        """Answer a question in the documents' own words, with the place and the probability that
        it is right; `answerable` is false where they do not answer it."""
        with told():
            return AskResponse.of(library.ask(question, (), 5, document_ids))

    @server.tool(annotations=reads)
    def search(
        query: Annotated[str, Field(description="A question or some words.")],
        top_k: Annotated[int, Field(ge=1, le=50, description="How many passages.")] = 5,
        document_ids: DocumentIds = None,
    ) -> list[Passage]:
        """The passages nearest to a question in meaning and words, best first."""
        with told():
            found = library.passages(query, top_k, document_ids)
        return [Passage.model_validate(passage) for passage in found]

    @server.tool(annotations=reads)
    def read_document(
        document_id: str,
        start: Annotated[int, Field(ge=0, description="Offset of the first character.")] = 0,
        length: Annotated[int, Field(ge=1, le=100_000, description="Characters.")] = _LENGTH,
    ) -> Excerpt:
        """A stretch of a document's text, as it stands."""
        with told():
            document = library.document(document_id)
        start = min(start, len(document.text))
        text = document.text[start : start + length]
        return Excerpt(
            document_id=document.id,
            title=document.title,
            start_char_index=start,
            end_char_index=start + len(text),
            characters=len(document.text),
            text=text,
        )

    return server
