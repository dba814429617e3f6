"""Who comes in: API keys, roles, the rate of each key, and no orders from other sites."""

from __future__ import annotations

import html
import ipaddress
import math
import time
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from string import Template
from urllib.parse import parse_qs

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from xhqa.api.keys import Key, key_of_secret, key_of_token
from xhqa.api.problems import problem
from xhqa.api.view import ASSETS
from xhqa.script import language_of

LOGIN = "/login"
_COOKIE = "xhqa-key"
_OPEN = frozenset({"/health/live", "/health/ready"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Routes that cost a question's work: the API's, the tools', and the queue that the page's events go
# through.
_ASKING = frozenset({"/ask", "/v1/chat/completions", "/mcp", "/gradio_api/queue/join"})
_LOGIN_BYTES = 4096
_NOT_LOCAL = (
    "Without API keys this server answers by names of this machine alone: use http://localhost "
    "with its port, or set XHQA_API_KEYS."
)


class Door:
    """ASGI middleware in front of every route, the page's own included.

    Without ``keys`` everybody may do everything, but for orders that another site's page gives a
    visitor's browser, and for requests to a name on the Internet: any site can have its name lead
    to this machine, and its pages would read the documents (DNS rebinding). With keys, all but
    health answers 401 to who brings none, and changes to the documents 403 to who may only ask.
    A key is sent as ``Authorization: Bearer`` or ``X-API-Key``; a browser is asked for it once and
    then sends a cookie that its scripts cannot read.
    ``per_minute``: questions a key may ask; 0 sets no limit.
    """

    def __init__(self, app: ASGIApp, *, keys: Sequence[Key], per_minute: int) -> None:
        self._app = app
        self._keys = tuple(keys)
        self._limit = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # No route of ours speaks WebSocket.
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = await self._refusal(scope, receive)
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope, receive: Receive) -> Response | None:
        """What is answered in place of the application; None where the request may go on."""
        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
        safe = scope["method"] in _SAFE
        if not safe and headers.get("sec-fetch-site") == "cross-site":
            return problem(403, "Pages of other sites may not send this.")
        if path in _OPEN:
            return None
        if not self._keys:
            return None if _is_local(headers.get("host", "")) else problem(403, _NOT_LOCAL)
        if path == LOGIN and scope["method"] == "POST":
            return await self._login(Request(scope, receive))
        key = self._key(headers)
        if key is None:
            return self._ask_for_key(scope, headers, path)
        scope.setdefault("state", {})["key"] = key.name
        if not safe and key.role == "ask" and path.startswith("/documents"):
            return problem(403, "This key may ask but not change the documents.")
        return None if safe or path not in _ASKING else self._too_often(key)

    def _too_often(self, key: Key) -> Response | None:
        if self._limit is None or self._limiter.hit(self._limit, key.name):
            return None
        reset = self._limiter.get_window_stats(self._limit, key.name).reset_time
        return problem(
            429,
            f"This key may ask {self._limit.amount} questions a minute.",
            headers={"Retry-After": str(max(1, math.ceil(reset - time.time())))},
        )

    def _key(self, headers: Headers) -> Key | None:
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        secret = secret.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if secret:
            return key_of_secret(self._keys, secret)
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
        except CookieError:
            return None
        return key_of_token(self._keys, cookie.value) if cookie else None

    def _ask_for_key(self, scope: Scope, headers: Headers, path: str) -> Response:
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            # The form's own address shows nothing to who has a key.
            back = "" if path in ("/", LOGIN) else path
            return _login_page(headers, scope.get("root_path", ""), back, wrong=False)
        return problem(
            401,
            "This server wants an API key: send it as Authorization: Bearer KEY.",
            headers={"WWW-Authenticate": "Bearer"},
        )

    async def _login(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LOGIN_BYTES:
                return problem(413, "The login form is over 4 kB.")
        fields = parse_qs(body.decode("latin-1"), encoding="utf-8")
        root = request.scope.get("root_path", "").rstrip("/")
        back = fields.get("back", [""])[0]
        key = key_of_secret(self._keys, fields.get("key", [""])[0].strip())
        if key is None:
            return _login_page(request.headers, root, back, wrong=True)
        # Only a path of this server: "//host" would be another.
        local = back.startswith("/") and not back.startswith(("//", "/\\"))
        response = RedirectResponse(root + (back if local else "/"), status_code=303)
        response.set_cookie(
            _COOKIE,
            key.token,
            path=root or "/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response


def _is_local(host: str) -> bool:
    """Whether a Host header names an address, or a name that no site on the Internet has."""
    name = host.removeprefix("[").rpartition("]")[0] or host.partition(":")[0]
    name = name.lower().rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(".localhost")
    return True


_WORDS = {
    "zh": ("原文问答", "这个服务需要密钥。", "密钥", "进入", "密钥不对，请再试一次。"),
    "en": (
        "Ask the documents",
        "This server wants a key.",
        "Key",
        "Enter",
        "Wrong key: try again.",
    ),
}


def _login_page(headers: Headers, root: str, back: str, *, wrong: bool) -> Response:
    language = language_of(headers.get("accept-language", ""))
    title, wanted, label, enter, again = _WORDS[language]
    said = f'<p role="alert" class="wrong">{again}</p>' if wrong else f"<p>{wanted}</p>"
    return HTMLResponse(
        Template((ASSETS / "login.html").read_text("utf-8")).substitute(
            language="zh-CN" if language == "zh" else "en",
            title=title,
            said=said,
            label=label,
            enter=enter,
            action=html.escape(f"{root.rstrip('/')}{LOGIN}"),
            back=html.escape(back),
        ),
        401,
        headers={"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"},
    )
