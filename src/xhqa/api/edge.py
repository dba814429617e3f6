"""The outermost layer of the API: what holds for every request, whoever answers it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xhqa.api.logs import new_request_id, request_id
from xhqa.api.metrics import Metrics
from xhqa.api.problems import problem

# What a browser may load: nothing from another host. Gradio compiles its templates and writes
# styles and scripts inline.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_REQUEST_ID = "X-Request-ID"
_HEALTH = ("/health/live", "/health/ready")

logger = logging.getLogger(__name__)


class Edge:
    """ASGI middleware: security headers, request ids, metrics, the log's line of each request,
    body limits, 405, and 500 as a problem.

    ``routes`` are the API's own: a known path with a wrong method is answered 405 here, since a
    page mounted at ``/`` would take it for one of its own. Any other path counts as
    ``elsewhere`` in the metrics. ``limits`` maps route templates to the bytes a body may have
    and what to say of more.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Sequence[BaseRoute],
        elsewhere: str,
        limits: Mapping[str, tuple[int, str]],
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._routes = routes
        self._elsewhere = elsewhere
        self._limits = limits
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route, allowed = self._find(scope)
        begin = time.perf_counter()
        status: int | None = None
        identity = new_request_id(Headers(scope=scope).get(_REQUEST_ID))
        token = request_id.set(identity)

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[_REQUEST_ID] = identity
                for name, value in _HEADERS.items():
                    # A page may have a stricter policy of its own.
                    headers.setdefault(name, value)
            await send(message)

        app: ASGIApp = self._app
        if allowed:
            detail = f"{route} takes {' and '.join(allowed)} only."
            app = problem(405, detail, headers={"Allow": ", ".join(allowed)})
        if route in self._limits:
            receive = _limited(receive, Headers(scope=scope), *self._limits[route])
        try:
            await app(scope, receive, send_marked)
        except Exception:
            if status is not None:
                raise
            logger.exception("%s %s failed", scope["method"], route)
            failure = problem(500, "Something went wrong inside xhqa; its log says what.")
            await failure(scope, receive, send_marked)
        finally:
            # No status: the client left before there was one.
            seconds = time.perf_counter() - begin
            self._metrics.request(route, scope["method"], status or 499, seconds)
            facts = {
                "method": scope["method"],
                "route": route,
                "status": status or 499,
                "seconds": round(seconds, 4),
                "key": scope.get("state", {}).get("key"),
            }
            # Health is asked every few seconds, and the page for a dozen files at a time.
            quiet = status is not None and status < 400 and route in (*_HEALTH, self._elsewhere)
            logger.log(logging.DEBUG if quiet else logging.INFO, "request", extra=facts)
            request_id.reset(token)

    def _find(self, scope: Scope) -> tuple[str, list[str]]:
        """The template of the route that takes this request and no methods; where only the
        method is wrong, the template and the methods that are right."""
        template = self._elsewhere
        allowed: set[str] = set()
        for route in self._routes:
            match, _ = route.matches(scope)
            if match is not Match.NONE:
                template = str(getattr(route, "path", self._elsewhere))
            if match is Match.FULL:
                return template, []
            if match is Match.PARTIAL:
                allowed |= getattr(route, "methods", None) or set()
        return template, sorted(allowed)


def _limited(receive: Receive, headers: Headers, limit: int, detail: str) -> Receive:
    """``receive``, raising HTTPException 413 where the body is or says it is over the limit."""
    length = headers.get("content-length", "")
    over = length.isdecimal() and (len(length) > 18 or int(length) > limit)
    size = 0

    async def read() -> Message:
        nonlocal over, size
        message: Message = {} if over else await receive()
        size += len(message.get("body", b""))
        over = over or size > limit
        if over:
            raise HTTPException(413, detail)
        return message

    return read
