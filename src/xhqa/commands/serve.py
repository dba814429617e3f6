"""``xhqa serve`` and ``xhqa mcp``: models loaded, doors checked, a server run."""

from __future__ import annotations

import errno
import os
import socket
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
    """The API and the page, until it is stopped. Raises InputError where others could come in or
    the port is taken."""
    import uvicorn

    from xhqa.api.keys import parse_keys
    from xhqa.api.logs import set_up_logging
    from xhqa.api.server import DrainingServer

    settings = sharing_cores(settings)
    keys = parse_keys(settings.api_keys.get_secret_value())
    refuse_open_door(host, keys)
    with bound(host, port) as opened:
        app = _application(settings, notify)
        set_up_logging(settings.log)
        # The page holds streams open, which a shutdown must not wait for.
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=3)
        notify(f"xhqa is at {_address(host, opened)}/ (API documentation at /docs)")
        if not keys:
            notify("open to everybody on this machine and to nobody else: no XHQA_API_KEYS are set")
        DrainingServer(config, app.state.workers, settings.deadline_seconds).run(sockets=[opened])


def serve_tools(settings: Settings, where: tuple[str, int] | None, notify: Notify) -> None:
    """The documents as MCP tools, at a host and port or else on standard input and output.

    Raises InputError where others could come in or the port is taken."""
    if where is None:
        # There is one client, who may take all cores.
        _tools(settings, notify).run()
        return
    import uvicorn

    from xhqa.api.door import Door
    from xhqa.api.keys import parse_keys

    host, port = where
    settings = sharing_cores(settings)
    keys = parse_keys(settings.api_keys.get_secret_value())
    refuse_open_door(host, keys)
    with bound(host, port) as opened:
        server = _tools(settings, notify)
        app = Door(server.streamable_http_app(host=host), keys=keys, per_minute=settings.rate_limit)
        notify(f"xhqa's tools are at {_address(host, opened)}/mcp")
        config = uvicorn.Config(app, log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[opened])


def _tools(settings: Settings, notify: Notify) -> Any:
    """The MCP server, its models loaded; told to run it speaks on standard input and output."""
    from xhqa.api.asking import Asking
    from xhqa.api.logs import set_up_logging
    from xhqa.api.mcp import build_server
    from xhqa.api.metrics import Metrics
    from xhqa.api.workers import Workers
    from xhqa.pipeline import Pipeline

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
    return server


def bound(host: str, port: int) -> socket.socket:
    """A socket that has its address before models are loaded for it. It does not listen yet: who
    comes early is refused, not kept waiting. Raises InputError where the address cannot be had."""
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if os.name == "posix":  # Elsewhere it would share a port that is taken.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} of {host} is taken: choose another with --port"
            ) from error
        raise InputError(
            f"port {port} of {host} cannot be opened ({error.strerror}): choose another with "
            "--port or --host"
        ) from error
    return opened


def _address(host: str, opened: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{opened.getsockname()[1]}"


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
