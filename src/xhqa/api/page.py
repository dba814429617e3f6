"""The pages a browser sees: the chat page at ``/`` and the API's documentation at ``/docs``."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xhqa.api.problems import on_invalid, on_page_error, on_page_http_error, problem
from xhqa.memory import give_back, uncollected

if TYPE_CHECKING:
    import gradio

_ASSETS = "/docs/assets"

logger = logging.getLogger(__name__)


def _quiet_gradio() -> None:
    """Keeps gradio, and the Hugging Face client it uses, from calling home.

    gradio reads its variable whenever a ``Blocks`` is made, the client when it is imported: call
    this before importing gradio.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


class LatePage:
    """The page as an application of its own, made once the server runs: importing gradio takes
    longer than all else that a server waits for. Requests that come before wait for it."""

    def __init__(self, make: Callable[[], Starlette]) -> None:
        """``make`` is called in a thread."""
        self._make = make
        self._made: Future[Starlette] = Future()
        self._open: Future[Starlette] = Future()

    @property
    def application(self) -> Starlette:
        """The page, once it is made."""
        return self._made.result()

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Starts making the page, and ends it."""
        self._made, self._open = Future(), Future()
        for future in (self._made, self._open):
            # Who leaves while waiting for it does not cancel it for the others.
            future.set_running_or_notify_cancel()
        # A daemon: a server that is stopped at once does not wait for the import.
        threading.Thread(target=self._fulfil, args=(self._made,), name="page", daemon=True).start()
        ended = asyncio.Event()
        running = asyncio.create_task(self._run(ended))
        try:
            yield
        finally:
            ended.set()
            if not self._made.done():
                running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = await asyncio.wrap_future(self._open)
        await page(scope, receive, send)

    def _fulfil(self, made: Future[Starlette]) -> None:
        try:
            made.set_result(self._make())
        except Exception as error:  # noqa: BLE001 - _run raises it again
            made.set_exception(error)

    async def _run(self, ended: asyncio.Event) -> None:
        """One task for all of the page's life: what it opens it has to close."""
        try:
            page = await asyncio.wrap_future(self._made)
            async with page.router.lifespan_context(page):
                self._open.set_result(page)
                await ended.wait()
        except Exception as error:
            logger.exception("the page cannot be shown")
            if not self._open.done():
                self._open.set_exception(error)


Page = tuple["gradio.Blocks", Mapping[str, Any]]
"""A page and the options for ``gradio.mount_gradio_app``: the theme, CSS and scripts, which gradio
6 takes there and not in ``Blocks``."""


def make_page(page: Callable[[], Page], max_upload_mb: float) -> Starlette:
    """The page as an application; ``page`` may be what imports gradio."""
    _quiet_gradio()
    with uncollected():
        blocks, options = page()
        from gradio import mount_gradio_app
        from gradio.route_utils import FnIndexInferError

    handlers: dict[Any, Any] = {
        HTTPException: on_page_http_error,
        RequestValidationError: on_invalid,
    }
    for kind in (FnIndexInferError, LookupError, OSError, TypeError, ValueError):
        handlers[kind] = on_page_error
    # Programs have POST /ask; the page's own events come through its queue.
    blocks.api_open = False
    app = FastAPI(openapi_url=None)
    app.add_middleware(_Events)
    _in_a_loop(
        lambda: mount_gradio_app(
            app,
            blocks,
            "/",
            **{
                "footer_links": [],
                "run_history": False,
                "mcp_server": False,
                "ssr_mode": False,
                "max_file_size": int(max_upload_mb * 2**20),
                "app_kwargs": {"exception_handlers": handlers},
                **options,
            },
        )
    )
    give_back()
    return app


class _Events:
    """ASGI middleware: gradio answers 500, whatever an event was sent that it cannot take."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        failed = False

        async def send_others(message: Message) -> None:
            nonlocal failed
            failed = failed or (
                message["type"] == "http.response.start" and message["status"] >= 500
            )
            if not failed:
                await send(message)

        if scope["type"] != "http" or not scope["path"].startswith("/gradio_api/run/"):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, send_others)
        if failed:
            detail = "The page cannot take this event; the server's log says why."
            await problem(422, detail)(scope, receive, send)


def _in_a_loop(call: Callable[[], object]) -> None:
    """Gradio opens event loops that it never closes where none is running."""

    async def later() -> None:
        call()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(later())
    else:
        call()


def add_docs(app: FastAPI) -> None:
    """Swagger UI at ``/docs``, from files that come with the package ``fastapi-offline``."""
    folder = files("fastapi_offline") / "static"
    app.mount(_ASSETS, StaticFiles(directory=str(folder)))

    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        return get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title=f"{app.title} API",
            swagger_js_url=f"{root}{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{root}{_ASSETS}/favicon.png",
            # Without this a page that is not on localhost asks validator.swagger.io.
            swagger_ui_parameters={"validatorUrl": None},
        )

    app.add_route("/docs", docs, include_in_schema=False)
