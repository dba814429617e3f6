"""A document as a page of its own, whose address can name a place in it.

``/documents/{id}/view#char=812,816`` marks those characters (RFC 5147; code points, as in the
API). A fragment never reaches the server, so a small script does the marking.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import HTMLResponse

from xhqa.types import Document, OutlineEntry

ASSETS = Path(__file__).with_name("assets")
ASSETS_PATH = "/documents-view"
# Stricter than the chat page's: nothing inline, nothing that is not named here.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='7' fill='%231f5f5b'/%3E"
    "%3Crect x='7' y='13' width='18' height='7' rx='2' fill='%23ffd04d'/%3E%3C/svg%3E"
)
_UNSHOWABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Words:
    lang: str
    characters: str
    outline: str
    text: str
    to_mark: str
    copy: str
    copied: str
    failed: str
    outside: str
    home: str


_WORDS = {
    "zh": _Words(
        "zh-CN", "字", "小节", "文档全文", "回到标出的地方", "复制引文", "已复制", "没能复制",
        "地址里的位置不在这篇文档里，没有可以标出的文字。", "原文问答",
    ),
    "en": _Words(
        "en", "characters", "Sections", "Full text", "Back to the marked place", "Copy quotation",
        "Copied", "Could not copy",
        "The place in the address is not in this document: there is nothing to mark.", "Ask",
    ),
}  # fmt: skip


def view_page(
    document: Document, outline: Sequence[OutlineEntry], root: str, language: str
) -> HTMLResponse:
    """The page of a document; ``root`` is the path that the application is mounted at."""
    words = _WORDS[language]
    title, source = _escape(document.title), _escape(document.source_name)
    entries = "".join(
        f'<li class="level-{min(heading.level, 4)}">'
        f'<a href="#char={heading.start_char_index}" data-start="{heading.start_char_index}">'
        f"{_escape(heading.name)}</a></li>"
        for heading in outline
    )
    nav = f'<nav aria-label="{words.outline}"><ol>{entries}</ol></nav>' if entries else ""
    base = f"{_escape(root)}{ASSETS_PATH}"
    body = (
        f'<!doctype html><html lang="{words.lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="icon" href="{ICON}">'
        f'<link rel="stylesheet" href="{base}/view.css">'
        f'<script src="{base}/view.js" defer></script></head><body>'
        f'<header><a class="home" href="{_escape(root)}/">{words.home}</a>'
        f'<div class="title"><h1>{title}</h1>'
        f"<p>{source} · {len(document.text):,} {words.characters}</p></div>"
        '<div class="tools" hidden>'
        f'<button type="button" id="back">{words.to_mark}</button>'
        f'<button type="button" id="copy" data-copied="{words.copied}" '
        f'data-failed="{words.failed}">{words.copy}</button></div>'
        f'<p class="notice" role="status" data-outside="{words.outside}"></p></header>'
        f'<div class="body">{nav}<main aria-label="{words.text}">'
        # No element between text and code points: the script counts in this node alone.
        f'<div id="text" data-title="{title}">{_escape(document.text)}</div></main></div>'
        "</body></html>"
    )
    return HTMLResponse(
        body, headers={"Content-Security-Policy": POLICY, "Vary": "Accept-Language"}
    )


def _escape(text: str) -> str:
    # A carriage return would come out of the HTML parser as a line feed, and change no offset,
    # but CRLF would become one character and change all that follow.
    return html.escape(_UNSHOWABLE.sub("\ufffd", text)).replace("\r", "&#13;")
