"""Errors as RFC 9457 problems: one shape for whatever goes wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from xhqa.api.models import encodable
from xhqa.errors import (
    BusyError,
    DeadlineError,
    IndexDamagedError,
    InputError,
    ModelError,
    NotFoundError,
    OverloadedError,
    StorageFullError,
    StoreError,
    XhqaError,
)

MEDIA_TYPE = "application/problem+json"
STATUS_OF: dict[type[XhqaError], int] = {
    InputError: 422,
    NotFoundError: 404,
    BusyError: 409,
    OverloadedError: 429,
    DeadlineError: 504,
    StorageFullError: 507,
    IndexDamagedError: 503,
    ModelError: 503,
    StoreError: 503,
}
# Python 3.13 renamed these two; a response must not depend on the interpreter.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
_NAME_CHARACTERS = 100
_ERRORS = 20

logger = logging.getLogger(__name__)


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """An error, after RFC 9457. `errors` is there where fields of a request are at fault."""

    type: str = Field(examples=["about:blank"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    errors: list[FieldError] = []


def title_of(status: int) -> str:
    """The HTTP phrase of a status."""
    if status in _TITLES:
        return _TITLES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response of that status; ``detail`` is one sentence and may hold anything a user sent."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "detail": encodable(detail),
    }
    if errors:
        content["errors"] = [error.model_dump() for error in errors]
    body = json.dumps(content, ensure_ascii=False).encode()
    return Response(body, status, headers=headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may fail with these statuses, and with 500 as any may.

    The schema is a reference: the application puts ``Problem`` among its components.
    """
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": title_of(status), "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in (*statuses, 500)
    }


async def on_http_error(_: Request, error: Exception) -> Response:
    """Starlette's own errors: an unknown path, a body that does not parse, one too large."""
    assert isinstance(error, HTTPException)
    detail = error.detail
    if detail == HTTPStatus.NOT_FOUND.phrase:
        detail = "There is nothing at this path; /docs lists what there is."
    return problem(error.status_code, str(detail), headers=error.headers)


async def on_xhqa_error(request: Request, error: Exception) -> Response:
    """Errors raised on purpose; their message is meant for the user."""
    for kind, status in STATUS_OF.items():
        if isinstance(error, kind):
            if status >= 500:
                logger.error("%s %r: %s", request.method, request.scope["path"], error)
            headers = {}
            if isinstance(error, OverloadedError):
                headers["Retry-After"] = str(error.retry_after)
            return problem(status, str(error), headers=headers)
    raise error


async def on_page_http_error(request: Request, error: Exception) -> Response:
    """``on_http_error`` for gradio's routes, whose script reads some details that are no text."""
    assert isinstance(error, HTTPException)
    if isinstance(error.detail, str):
        return await on_http_error(request, error)
    return await http_exception_handler(request, error)


async def on_page_error(request: Request, error: Exception) -> Response:
    """What gradio's own routes raise at a request they cannot read. Its events report
    failures of the page in their stream instead, so this is the request's fault."""
    logger.warning("%s %r: %r", request.method, request.scope["path"], error)
    return problem(400, "The page cannot read this request; programs use POST /ask.")


async def on_invalid(request: Request, error: Exception) -> Response:
    """A request that does not fit its model: 415, 400 or 422; never echoes the input."""
    assert isinstance(error, RequestValidationError)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if isinstance(error.body, bytes):
        return problem(415, "The request body should be sent as application/json.")
    if isinstance(error.body, FormData) and media_type != "multipart/form-data":
        return problem(415, "The document should be sent as multipart/form-data, field `file`.")
    details = error.errors()
    if details[0]["type"] == "json_invalid":
        reason, place = details[0]["ctx"]["error"], details[0]["loc"][-1]
        return problem(400, f"The request body is not JSON: {reason} at character {place}.")
    errors = [_field_error(entry) for entry in details[:_ERRORS]]
    more = f" ({len(details) - 1} more)" if len(details) > 1 else ""
    return problem(422, f"{errors[0].field}: {errors[0].message}{more}.", errors=errors)


def _field_error(entry: Mapping[str, Any]) -> FieldError:
    """One entry of ``RequestValidationError.errors()`` in words of its own."""
    place = entry["loc"][1:] if entry["loc"][0] in ("body", "path", "query") else entry["loc"]
    name = ""
    for part in place:
        name += f"[{part}]" if isinstance(part, int) else f".{part}"
    if len(name) > _NAME_CHARACTERS:
        name = name[:_NAME_CHARACTERS] + "…"
    message = str(entry["msg"])
    if entry["type"] == "missing":
        message = "is required"
    elif entry["type"] == "extra_forbidden":
        message = "is not a known field"
    elif tuple(place) == ("file",):
        message = "should be a file, sent with its name"
    return FieldError(
        field=encodable(name.lstrip(".")) or "request body",
        message=encodable(message[:1].lower() + message[1:]),
    )
