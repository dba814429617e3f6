"""The routes, and ``create_app``, which puts them together."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Protocol
from urllib.parse import quote

from fastapi import FastAPI, File, HTTPException, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.staticfiles import StaticFiles

from xhqa import types
from xhqa.api import metrics as counters
from xhqa.api.asking import Asked, Asking
from xhqa.api.door import Door
from xhqa.api.edge import Edge
from xhqa.api.keys import parse_keys
from xhqa.api.models import (
    AskRequest,
    AskResponse,
    Document,
    DocumentInfo,
    Live,
    Progress,
    Ready,
    encodable,
)
from xhqa.api.openai import add_openai
from xhqa.api.page import LatePage, Page, add_docs, make_page
from xhqa.api.problems import (
    Problem,
    documented,
    on_http_error,
    on_invalid,
    on_xhqa_error,
    problem,
)
from xhqa.api.view import ASSETS, ASSETS_PATH, view_page
from xhqa.api.workers import ClientLeftError, Workers
from xhqa.config import Settings
from xhqa.errors import InputError, XhqaError
from xhqa.script import language_of

_JSON_BYTES = 2**20
# What a multipart body may have around its file.
_ENVELOPE_BYTES = 2**16
_NAME_CHARACTERS = 200


class Service(Asked, Protocol):
    """What the API needs; ``xhqa.Pipeline`` has it. Methods are called from several threads."""

    @property
    def ready(self) -> bool:
        """Whether an index and models are loaded."""
        ...

    @property
    def progress(self) -> tuple[str, int, int] | None:
        """Of a change to the index that is under way: stage, number done, total."""
        ...

    @property
    def document_count(self) -> int:
        """How many documents the index holds."""
        ...

    @property
    def passage_count(self) -> int:
        """How many passages they were split into."""
        ...

    def documents(self) -> tuple[types.DocumentInfo, ...]:
        """All documents in the index."""
        ...

    def document(self, document_id: str) -> types.Document:
        """The document; NotFoundError where there is none of that id."""
        ...

    def outline(self, document_id: str) -> tuple[types.OutlineEntry, ...]:
        """The document's headings; NotFoundError where there is none of that id."""
        ...

    def described(self, document_id: str) -> tuple[types.DocumentInfo, types.Document]:
        """The document and what is known of it; NotFoundError where there is none of that id."""
        ...

    def add(self, name: str, data: bytes) -> types.DocumentInfo:
        """Indexes a file; InputError where it cannot be read, BusyError while another is."""
        ...

    def remove(self, document_id: str) -> None:
        """Takes the document out; NotFoundError where there is none, BusyError as in add."""
        ...


class _App(FastAPI):
    """FastAPI with ``Problem`` among its components, for the references of ``documented``."""

    def openapi(self) -> dict[str, Any]:
        schema = super().openapi()
        shapes = schema.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" not in shapes:
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            shapes.update(problem.pop("$defs"))
            shapes["Problem"] = problem
        return schema


def create_app(
    service: Service,
    *,
    settings: Settings,
    page: Callable[[Any], Page] | None = None,
    load_seconds: Mapping[str, float] | None = None,
) -> FastAPI:
    """The application: the routes of ``docs/contract.md``, ``/docs``, and the page at ``/``.

    Questions go through a bounded number of workers, one where the settings leave it open; behind
    keys, where the settings hold some.
    ``page`` makes the page from the service with its questions so bounded, and the options (theme,
    css, js, head …) for ``gradio.mount_gradio_app``; it is called in a thread once the server runs.
    ``load_seconds``, by what was loaded, are for the metrics. Every error is
    ``application/problem+json``.
    """
    late = (
        LatePage(lambda: make_page(partial(page, asking), settings.max_upload_mb)) if page else None
    )
    app = _App(
        lifespan=late.lifespan if late else None,
        title="xhqa",
        summary="Ask documents a question and get their own words back, with their place.",
        version=_version(),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI's own records of bad requests hold what was sent.
        telemetry={"logs": settings.log_questions},
    )
    workers = Workers(settings.workers or 1, settings.queue, settings.deadline_seconds)
    metrics = counters.Metrics(workers)
    metrics.loaded(load_seconds or {})
    if service.ready:
        metrics.index(service.document_count, service.passage_count)
    app.state.workers = workers
    asking = Asking(service, workers, metrics, settings.log_questions)
    upload_bytes = int(settings.max_upload_mb * 2**20)
    too_large = f"The file is over {settings.max_upload_mb:g} MB, the limit of XHQA_MAX_UPLOAD_MB."
    app.add_exception_handler(StarletteHTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(XhqaError, on_xhqa_error)
    _add_asking(app, asking)
    add_openai(app, asking)
    _add_documents(app, service, metrics, upload_bytes, too_large)
    _add_operations(app, service, metrics)
    add_docs(app)
    keys = parse_keys(settings.api_keys.get_secret_value())
    app.add_middleware(Door, keys=keys, per_minute=settings.rate_limit)
    app.add_middleware(
        Edge,
        routes=tuple(app.routes),
        elsewhere="(unknown)" if page is None else "(page)",
        limits={
            "/ask": (_JSON_BYTES, "The request body is over 1 MB."),
            "/v1/chat/completions": (_JSON_BYTES, "The request body is over 1 MB."),
            "/documents": (upload_bytes + _ENVELOPE_BYTES, too_large),
        },
        metrics=metrics,
    )
    if late:
        # Below every route that the application has by now.
        app.mount("", late)
    return app


def _add_asking(app: FastAPI, asking: Asking) -> None:
    app.add_exception_handler(ClientLeftError, _on_client_left)

    @app.post(
        "/ask", tags=["questions"], responses=documented(400, 404, 413, 415, 422, 429, 503, 504)
    )
    async def ask(request: Request, body: AskRequest) -> AskResponse:
        """Answer a question in the documents' own words, or say that they do not answer it."""
        answer = await asking.ask_for(
            request,
            body.question,
            [types.Turn(turn.question, turn.answer) for turn in body.history],
            body.top_k,
            body.document_ids,
        )
        return AskResponse.of(answer)


async def _on_client_left(request: Request, error: Exception) -> Response:
    return problem(499, "The client left before the answer was there.")


def _add_documents(
    app: FastAPI,
    service: Service,
    metrics: counters.Metrics,
    upload_bytes: int,
    too_large: str,
) -> None:
    @app.get("/documents", tags=["documents"], responses=documented(503))
    def list_documents() -> list[DocumentInfo]:
        """All documents in the index."""
        return [DocumentInfo.model_validate(info) for info in service.documents()]

    @app.get("/documents/{document_id}", tags=["documents"], responses=documented(404, 422, 503))
    def get_document(document_id: str) -> Document:
        """One document and its text, which the offsets of citations count in code points."""
        info, document = service.described(document_id)
        return Document.of(info, document.text)

    @app.get(
        "/documents/{document_id}/view",
        tags=["documents"],
        response_class=HTMLResponse,
        responses=documented(404, 422, 503),
    )
    def view_document(request: Request, document_id: str) -> HTMLResponse:
        """One document as a page; `#char=START,END` marks those code points (RFC 5147)."""
        return view_page(
            service.document(document_id),
            service.outline(document_id),
            request.scope.get("root_path", "").rstrip("/"),
            language_of(request.headers.get("accept-language", "")),
        )

    app.mount(ASSETS_PATH, StaticFiles(directory=ASSETS))

    @app.post(
        "/documents",
        tags=["documents"],
        status_code=201,
        responses={
            201: {
                "headers": {
                    "Location": {
                        "description": "Where the document is.",
                        "schema": {"type": "string"},
                    }
                }
            },
            **documented(400, 409, 413, 415, 422, 503, 507),
        },
    )
    def add_document(
        request: Request,
        response: Response,
        file: Annotated[UploadFile, File(description="The document; its name tells its format.")],
    ) -> DocumentInfo:
        """Add a document to the index."""
        if (file.size or 0) > upload_bytes:
            raise HTTPException(413, too_large)
        info = service.add(_file_name(file.filename), file.file.read())
        metrics.index(service.document_count, service.passage_count)
        root = request.scope.get("root_path", "").rstrip("/")
        response.headers["Location"] = f"{root}/documents/{quote(encodable(info.id), safe='')}"
        return DocumentInfo.model_validate(info)

    @app.delete(
        "/documents/{document_id}",
        tags=["documents"],
        status_code=204,
        responses=documented(404, 409, 422, 503, 507),
    )
    def remove_document(document_id: str) -> None:
        """Take a document out of the index."""
        service.remove(document_id)
        metrics.index(service.document_count, service.passage_count)


def _add_operations(app: FastAPI, service: Service, metrics: counters.Metrics) -> None:
    # Not ``def``: these must answer while every worker thread is busy with a question.
    @app.get("/health/live", tags=["operations"], responses=documented())
    async def live() -> Live:
        """Whether the process answers at all."""
        return Live()

    @app.get("/health/ready", tags=["operations"], responses=documented(503))
    async def ready() -> Ready:
        """Whether an index and models are loaded."""
        if not service.ready:
            raise HTTPException(503, "The index or the models are not loaded yet.")
        return Ready()

    @app.get("/progress", tags=["documents"], responses=documented())
    async def progress() -> Progress:
        """How far the change to the index is that is under way, if one is."""
        return Progress.of(service.progress)

    @app.get(
        "/metrics",
        tags=["operations"],
        response_class=PlainTextResponse,
        responses=documented(),
    )
    async def get_metrics() -> Response:
        """Counters and latencies in Prometheus' text format."""
        return Response(metrics.text(), media_type=counters.CONTENT_TYPE)


def _file_name(name: str | None) -> str:
    """The last part of an uploaded file's name, without control characters; InputError where
    nothing is left, or too much."""
    last = str(encodable(name or "")).replace("\\", "/").rpartition("/")[2]
    last = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Zl", "Zp")).strip()
    if last in ("", ".", ".."):
        raise InputError("The uploaded file has no name: send one, with its extension.")
    if len(last) > _NAME_CHARACTERS:
        raise InputError(f"The file's name is over {_NAME_CHARACTERS} characters: shorten it.")
    return last


def _version() -> str:
    try:
        return version("xhqa")
    except PackageNotFoundError:  # run from the source tree
        return "0"
