"""The chat page: a conversation on one side, the document it cites on the other."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import gradio as gr

from xhqa.errors import XhqaError
from xhqa.types import Answer, Document, Turn

from . import render
from .render import Exchange, Listed

TITLE = "原文问答"
TAGLINE = "只用文档里的原话回答，|并标出它在哪里；|文档没写的，就说没有。"
MAX_HISTORY = 20
MAX_QUESTION = 1000

_HERE = Path(__file__).parent
_ANCHOR = re.compile(r"xh-([cp])([0-9]{1,6})-([0-9]{1,6})")
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='7' fill='%231f5f5b'/%3E"
    "%3Crect x='7' y='13' width='18' height='7' rx='2' fill='%23ffd04d'/%3E%3C/svg%3E"
)


class Service(Protocol):
    """What the page needs of the thing behind it."""

    def ask(self, question: str, /, history: Sequence[Turn] = ()) -> Answer: ...

    def documents(self) -> Sequence[Listed]: ...

    def document(self, document_id: str, /) -> Document: ...


class Handlers:
    """What happens on each event. Values go in and out; a test needs no browser."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def open(self) -> tuple[tuple[Exchange, ...], str, str]:
        """A new conversation: its turns, the conversation as HTML, the pane as HTML."""
        try:
            documents = self._service.documents()
            return (), render.conversation((), len(documents)), self._first_pane(documents)
        except XhqaError as error:
            return (), render.problem_card(str(error)), render.pane_problem(str(error))

    def ask(self, question: str, earlier: tuple[Exchange, ...]) -> Iterator[tuple[Any, ...]]:
        """Yields (question box, turns, conversation, pane): the question at once, then the reply.

        The turns are only kept with the reply, so a question that is broken off leaves no trace.
        """
        question = question.strip()
        if not question:
            yield (gr.skip(),) * 4
            return
        shown = render.conversation((*earlier, Exchange(question)), 1)
        yield "", gr.skip(), shown, gr.skip()
        history = tuple(
            Turn(past.question, past.answer.text) for past in earlier if past.answer is not None
        )
        try:
            answer = self._service.ask(question, history=history[-MAX_HISTORY:])
        except XhqaError as error:
            yield self._failed(question, earlier, str(error))
        except Exception:
            yield self._failed(question, earlier, "服务内部出错，详情见服务的日志。")
            raise
        else:
            turns = (*earlier, Exchange(question, answer))
            pane = self._cited_pane(len(turns), answer)
            yield gr.skip(), turns, render.conversation(turns, 1), pane

    def show(self, turns: tuple[Exchange, ...], event: gr.EventData) -> Any:
        """The pane for what was chosen: a citation or passage of some turn, or a document."""
        chosen = event._data if isinstance(event._data, dict) else {}
        if isinstance(chosen.get("document"), str):
            return self._pane(chosen["document"])
        place = _ANCHOR.fullmatch(str(chosen.get("anchor")))
        if place is None or not 1 <= int(place[2]) <= len(turns):
            return gr.skip()
        turn = int(place[2])
        answer = turns[turn - 1].answer
        found = _place(answer, place[1], int(place[3])) if answer else None
        return gr.skip() if found is None else self._pane(found, turn, answer, place[0])

    def _failed(
        self, question: str, earlier: tuple[Exchange, ...], problem: str
    ) -> tuple[Any, ...]:
        turns = (*earlier, Exchange(question, problem=problem))
        return gr.skip(), turns, render.conversation(turns, 1), gr.skip()

    def _first_pane(self, documents: Sequence[Listed]) -> str:
        # One document needs no choosing.
        return self._pane(documents[0].id) if len(documents) == 1 else render.shelf(documents)

    def _cited_pane(self, turn: int, answer: Answer) -> Any:
        if not answer.citations:
            return gr.skip()
        first = answer.citations[0]
        anchor = render.citation_anchor(turn, first.index)
        return self._pane(first.document_id, turn, answer, anchor)

    def _pane(
        self, document_id: str, turn: int = 0, answer: Answer | None = None, focus: str = ""
    ) -> str:
        try:
            document = self._service.document(document_id)
        except XhqaError as error:
            return render.pane_problem(f"这篇文档打不开了：{error}")
        return render.document_pane(document, turn, answer, focus)


def build_page(service: Service) -> gr.Blocks:
    """The page, for ``gr.mount_gradio_app(app, page, path="/", **mount_options())``."""
    # Gradio makes an event loop that it never closes wherever none is running.
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_build_in_a_loop(service))
    return _build(Handlers(service))


def mount_options() -> dict[str, Any]:
    """What ``gr.mount_gradio_app`` must be given so that the page looks right and stays local."""
    return {
        "theme": _theme(),
        "css_paths": [_HERE / "page.css"],
        "head": f'<link rel="icon" href="{_ICON}">',
        "js": "() => { document.documentElement.lang = 'zh-CN'; }",
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
        "enable_monitoring": False,
        # Errors that the page does not show itself may hold more than a user should see.
        "show_error": False,
        # The page takes no files; Gradio's upload route would.
        "max_file_size": 0,
    }


def _build(handlers: Handlers) -> gr.Blocks:
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        turns = gr.State(())
        with gr.Row(elem_id="xh-head"):
            tagline = render.phrases(TAGLINE)
            _html(f'<h1 class="xh-title">{TITLE}</h1><p class="xh-tagline">{tagline}</p>')
            clear = gr.Button("新对话", elem_id="xh-clear", size="sm", scale=0, min_width=88)
        with gr.Row(elem_id="xh-body", equal_height=True):
            with gr.Column(elem_id="xh-chat", min_width=0):
                talk = _html("", elem_id="xh-talk", js_on_load=_script("talk.js"))
                box = _question_box()
            pane = _html("", elem_id="xh-pane", js_on_load=_script("pane.js"))
        start = [turns, talk, pane]
        page.load(handlers.open, None, start, queue=False, **private)
        asking = box.submit(
            handlers.ask, [box, turns], [box, *start], concurrency_limit=None, **private
        )
        clear.click(handlers.open, None, start, queue=False, cancels=[asking], **private)
        for source in (talk, pane):
            source.click(handlers.show, [turns], [pane], queue=False, **private)
    return page


def _html(value: str, **options: Any) -> gr.HTML:
    return gr.HTML(value, **{"apply_default_css": False, "js_on_load": None, **options})


def _question_box() -> gr.Textbox:
    return gr.Textbox(
        label="你的问题",
        show_label=False,
        container=False,
        placeholder="问文档里写到的事，按回车发送",
        max_length=MAX_QUESTION,
        max_lines=5,
        submit_btn="发送",
        elem_id="xh-ask",
        html_attributes=gr.InputHTMLAttributes(enterkeyhint="send", autocomplete="off"),
    )


def _theme() -> gr.themes.Base:
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        text_size=gr.themes.sizes.text_lg,
        font=[
            gr.themes.Font(name)
            for name in ("PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif")
        ],
        font_mono=[gr.themes.Font(name) for name in ("Consolas", "Menlo", "monospace")],
    )


def _script(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _place(answer: Answer, kind: str, index: int) -> str | None:
    """The document that citation or passage ``index`` of ``answer`` stands in."""
    if kind == "c":
        return next((c.document_id for c in answer.citations if c.index == index), None)
    if 1 <= index <= len(answer.nearest):
        return answer.nearest[index - 1].document_id
    return None


async def _build_in_a_loop(service: Service) -> gr.Blocks:
    return _build(Handlers(service))
