"""The pages a browser sees: the chat page at ``/`` and the API's documentation at ``/docs``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from xhqa.api.problems import on_invalid, on_page_error, on_page_http_error

if TYPE_CHECKING:
    import gradio

_ASSETS = "/docs/assets"


def quiet_gradio() -> None:
    """Keeps gradio, and the Hugging Face client it uses, from calling home.

    gradio reads its variable whenever a ``Blocks`` is made, the client when it is imported: call
    this before importing gradio.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def mount_page(
    app: FastAPI,
    page: Callable[[], gradio.Blocks],
    options: Mapping[str, Any],
    max_upload_mb: float,
) -> None:
    """Mounts the page at ``/``, below every route that ``app`` has by now.

    ``options`` go to ``gradio.mount_gradio_app``: the theme, CSS and scripts, which gradio 6
    takes there and not in ``Blocks``.
    """
    quiet_gradio()
    from gradio import mount_gradio_app
    from gradio.route_utils import FnIndexInferError

    handlers: dict[Any, Any] = {
        HTTPException: on_page_http_error,
        RequestValidationError: on_invalid,
    }
    for kind in (FnIndexInferError, LookupError, OSError, TypeError, ValueError):
        handlers[kind] = on_page_error
    blocks = page()
    # Programs have POST /ask; the page's own events come through its queue.
    blocks.api_open = False
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
