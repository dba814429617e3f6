"""Questions in OpenAI's shape (Chat Completions), for clients and interfaces that speak it.

The last user message is the question, the turns before it are its history. Errors are problems as
everywhere else, with the member ``error`` that OpenAI's clients take their message from.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from xhqa import types
from xhqa.api.asking import Asking
from xhqa.api.models import QUESTION_CHARACTERS, Readable, encodable
from xhqa.api.problems import (
    MEDIA_TYPE,
    documented,
    on_http_error,
    on_invalid,
    on_xhqa_error,
)
from xhqa.errors import InputError, XhqaError
from xhqa.script import question_script

MODEL = "xhqa"
_TURNS = 20
_REFUSALS = {
    "han": "文档没有回答这个问题。",
    "other": "The documents do not answer this.",
}


class _Lenient(BaseModel):
    """Clients send much that means nothing here: what is not known is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Part(_Lenient):
    """A part of a message; only text parts are read."""

    type: str
    text: Readable | None = None


class Message(_Lenient):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Readable | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text).strip()
        return (self.content or "").strip()


class StreamOptions(_Lenient):
    include_usage: bool = False


class CompletionRequest(_Lenient):
    """OpenAI's request. Temperature, tools and the like have no meaning where nothing is
    generated, and are passed over."""

    model: Readable = MODEL
    messages: list[Message] = Field(min_length=1, max_length=1000)
    stream: bool | None = False
    stream_options: StreamOptions | None = None

    def asked(self) -> tuple[str, list[types.Turn]]:
        """The question and the turns before it, oldest first; InputError without a question."""
        last = next(
            (n for n in range(len(self.messages) - 1, -1, -1) if self.messages[n].role == "user"),
            None,
        )
        question = "" if last is None else self.messages[last].text
        if not 1 <= len(question) <= QUESTION_CHARACTERS:
            raise InputError(
                f"messages: the last user message should hold 1 to {QUESTION_CHARACTERS} "
                f"characters of text, not {len(question)}"
            )
        turns: list[types.Turn] = []
        taken = False
        for message in self.messages[:last]:
            if message.role == "user":
                # One that could not be asked today is passed over, with what was said to it.
                taken = 1 <= len(message.text) <= QUESTION_CHARACTERS
                if taken:
                    turns.append(types.Turn(message.text))
            elif message.role == "assistant" and taken:
                said = message.text
                answer = said if said and said not in _REFUSALS.values() else None
                turns[-1] = types.Turn(turns[-1].question, answer)
        return question, turns[-_TURNS:]


class _Route(APIRoute):
    """A route whose problems have OpenAI's ``error`` too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return _with_error(await on_invalid(request, error))
            except HTTPException as error:
                return _with_error(await on_http_error(request, error))
            except XhqaError as error:
                return _with_error(await on_xhqa_error(request, error))

        return handled


def _with_error(response: Response) -> Response:
    content = json.loads(bytes(response.body))
    content["error"] = {
        "message": content["detail"],
        "type": content["title"],
        "code": str(content["status"]),
    }
    kept = {name: value for name, value in response.headers.items() if name == "retry-after"}
    return JSONResponse(content, response.status_code, headers=kept, media_type=MEDIA_TYPE)


def add_openai(app: FastAPI, asking: Asking) -> None:
    """Adds ``POST /v1/chat/completions`` and ``GET /v1/models``."""
    router = APIRouter(tags=["openai"], route_class=_Route)
    started = int(time.time())
    model = {"id": MODEL, "object": "model", "created": started, "owned_by": "xhqa"}

    @router.get("/v1/models", responses=documented())
    async def models() -> dict[str, Any]:
        """The one model there is."""
        return {"object": "list", "data": [model]}

    @router.get("/v1/models/{model_id}", responses=documented(404, 422))
    async def one_model(model_id: str) -> dict[str, Any]:
        """That model."""
        if model_id != MODEL:
            raise HTTPException(404, f"There is one model here, {MODEL}.")
        return model

    @router.post(
        "/v1/chat/completions",
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Whole, or as a stream."},
            **documented(400, 413, 415, 422, 429, 503, 504),
        },
    )
    async def complete(request: Request, body: CompletionRequest) -> Response:
        """The answer to the last user message, in the documents' own words; its citations are
        annotations of the message. A refusal is a sentence that says so, and `refusal`."""
        question, history = body.asked()
        answer = await asking.ask_for(request, question, history)
        root = request.scope.get("root_path", "").rstrip("/")
        if not body.stream:
            return JSONResponse(_completion(answer, root))
        usage = body.stream_options is not None and body.stream_options.include_usage
        return StreamingResponse(_events(answer, root, usage), media_type="text/event-stream")

    # One by one: an included router hides its routes from who looks for the methods of a path.
    app.router.routes.extend(router.routes)


def _completion(answer: types.Answer, root: str) -> dict[str, Any]:
    message = {"role": "assistant", **_content(answer), "annotations": _annotations(answer, root)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {**_head("chat.completion"), "choices": [choice], "usage": _USAGE}


def _events(answer: types.Answer, root: str, usage: bool) -> Iterator[str]:
    """Server-sent events: the role, the words, the annotations, the end."""
    head = _head("chat.completion.chunk")
    deltas: Sequence[tuple[dict[str, Any], str | None]] = (
        ({"role": "assistant", "content": ""}, None),
        (_content(answer), None),
        ({"annotations": _annotations(answer, root)}, None),
        ({}, "stop"),
    )
    for delta, reason in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        yield _event(head | {"choices": [choice]})
    if usage:
        yield _event(head | {"choices": [], "usage": _USAGE})
    yield "data: [DONE]\n\n"


# Nothing is generated, so no tokens are counted.
_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content)}\n\n"


def _head(kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": MODEL,
    }


def _content(answer: types.Answer) -> dict[str, Any]:
    if answer.text is None:
        said = _REFUSALS[question_script(answer.question)]
        return {"content": said, "refusal": said}
    return {"content": encodable(answer.text), "refusal": None}


def _annotations(answer: types.Answer, root: str) -> list[dict[str, Any]]:
    """OpenAI's ``file_citation``, with the exact words and where they stand in the document."""
    return [
        {
            "type": "file_citation",
            "index": 0,
            "file_id": encodable(citation.document_id),
            "filename": encodable(citation.document_title),
            "quote": encodable(citation.cited_text),
            "start_char_index": citation.start_char_index,
            "end_char_index": citation.end_char_index,
            "context": encodable(citation.context),
            "url": f"{root}/documents/{quote(encodable(citation.document_id), safe='')}/view"
            f"#char={citation.start_char_index},{citation.end_char_index}",
        }
        for citation in answer.citations
    ]
