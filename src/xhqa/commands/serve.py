"""``xhqa serve`` and ``xhqa mcp``: models loaded, doors checked, a server run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xhqa import __version__
from xhqa.config import Settings
from xhqa.cpu import has_vnni, usable_cores
from xhqa.errors import InputError
from xhqa.memory import uncollected

if TYPE_CHECKING:
    from fastapi import FastAPI

    from xhqa.api.keys import Key

Notify = Callable[[str], None]

# What is not the models' work waits for one interpreter. More than two were not measured.
_MOST_WORKERS = 4


def serve(settings: Settings, host: str, port: int, notify: Notify) -> None:
    """The API and the page, until it is stopped. Raises InputError where others could come in."""
    import uvicorn

    from xhqa.api.keys import parse_keys
    from xhqa.api.logs import set_up_logging
    from xhqa.api.server import DrainingServer

    settings = sharing_cores(settings)
    keys = parse_keys(settings.api_keys.get_secret_value())
    refuse_open_door(host, keys)
    app = _application(settings, notify)
    set_up_logging(settings.log)
    # The page holds streams open, which a shutdown must not wait for.
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
    )
    opened = config.bind_socket()
    shown = f"[{host}]" if ":" in host else host
    notify(f"xhqa is at http://{shown}:{opened.getsockname()[1]}/ (API documentation at /docs)")
    if not keys:
        notify("open to everybody on this machine and to nobody else: no XHQA_API_KEYS are set")
    DrainingServer(config, app.state.workers, settings.deadline_seconds).run(sockets=[opened])


def serve_tools(settings: Settings, where: tuple[str, int] | None, notify: Notify) -> None:
    """The documents as MCP tools, at a host and port or else on standard input and output."""
    from xhqa.api.asking import Asking
    from xhqa.api.door import Door
    from xhqa.api.keys import parse_keys
    from xhqa.api.logs import set_up_logging
    from xhqa.api.mcp import build_server
    from xhqa.api.metrics import Metrics
    from xhqa.api.workers import Workers
    from xhqa.pipeline import Pipeline

    # On standard input there is one client.
    settings = sharing_cores(settings) if where else settings
    keys = parse_keys(settings.api_keys.get_secret_value())
    if where is not None:
        refuse_open_door(where[0], keys)
    workers = Workers(settings.workers or 1, settings.queue, settings.deadline_seconds)
    with uncollected():
        pipeline = Pipeline.open(settings=settings, notify=notify)
    library: Any = Asking(pipeline, workers, Metrics(workers), settings.log_questions)
    server = build_server(library, __version__)
    set_up_logging(settings.log)

    def get_ready() -> None:
        pipeline.warm_up()
        pipeline.prepare()

    # No daemon: Python must not end while ONNX Runtime is at work.
    threading.Thread(target=get_ready, daemon=False).start()
    if where is None:
        server.run()
        return
    import uvicorn

    host, port = where
    app = Door(server.streamable_http_app(host=host), keys=keys, per_minute=settings.rate_limit)
    notify(f"xhqa's tools are at http://{host}:{port}/mcp")
    uvicorn.run(app, host=host, port=port, log_config=None, access_log=False)


def sharing_cores(settings: Settings) -> Settings:
    """``settings`` with the workers and the threads of the models that they leave open.

    In int8 with VNNI one core answers quickly, and questions on a core each are more a second than
    on all cores one by one; otherwise a question takes all.
    """
    cores, threads = usable_cores(), settings.threads
    quick = settings.runtime == "onnx" and has_vnni()
    at_once = min(_MOST_WORKERS, cores // max(1, threads)) if quick else 1
    workers = settings.workers or max(1, at_once)
    shared = {"workers": workers, "threads": threads or max(1, cores // workers)}
    return settings.model_copy(update=shared)


def refuse_open_door(host: str, keys: Sequence[Key]) -> None:
    """Raises InputError where other machines could come in without a key."""
    import ipaddress

    if keys or host == "localhost":
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise InputError(
            f"without API keys the server listens on this machine alone, not on {host}: set "
            "XHQA_API_KEYS (ask:SECRET,manage:SECRET), or leave --host out"
        )


def _application(settings: Settings, notify: Notify) -> FastAPI:
    """The API with the page, its models loaded and its index built where there is none."""
    with uncollected():
        from xhqa.commands.index import build
        from xhqa.encode import encoder_of
        from xhqa.index import corpus_of
        from xhqa.pipeline import Pipeline

        began = time.perf_counter()
        encoder = encoder_of(settings, notify)
        load_seconds = {"encoder": time.perf_counter() - began}
    corpus = corpus_of(settings)
    if not corpus.exists():
        notify(f"no index in {corpus.place} yet: building it from corpus/")
        build([Path("corpus")], settings, encoder, notify)
    with uncollected():
        from xhqa.api import Page, create_app
        from xhqa.feedback import FeedbackFile

        began = time.perf_counter()
        pipeline = Pipeline.open(settings=settings, encoder=encoder, notify=notify)
        load_seconds["index and reader"] = time.perf_counter() - began
        feedback = FeedbackFile(settings.feedback_file)

        def page(asking: Any) -> Page:
            # One after the other: both would want the interpreter. No daemon, as above.
            warming = threading.Thread(target=pipeline.warm_up, daemon=False)
            warming.start()
            warming.join()
            import xhqa_ui

            built = xhqa_ui.build_page(asking, feedback), xhqa_ui.mount_options()
            # Last, since nobody waits for it, and no daemon either.
            threading.Thread(target=pipeline.prepare, daemon=False).start()
            return built

        return create_app(pipeline, settings=settings, page=page, load_seconds=load_seconds)
