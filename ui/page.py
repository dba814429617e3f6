"""The chat page: a conversation on one side, the document it cites on the other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr

from xhqa.api.view import ICON
from xhqa.feedback import FeedbackFile
from xhqa.pipeline import MAX_QUESTION

from .handlers import Handlers, Service, chrome
from .records import Session
from .words import ZH

_HERE = Path(__file__).parent
_SMALL: dict[str, Any] = {"size": "sm", "scale": 0, "min_width": 64}


def build_page(service: Service, feedback: FeedbackFile | None = None) -> gr.Blocks:
    """The page, for ``gr.mount_gradio_app(app, page, path="/", **mount_options())``.

    Without ``feedback`` it asks for no verdicts.
    """
    handlers = Handlers(service, feedback)
    # Gradio makes an event loop that it never closes wherever none is running.
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_build_in_a_loop(handlers))
    return _build(handlers)


def mount_options() -> dict[str, Any]:
    """What ``gr.mount_gradio_app`` must be given so that the page looks right and stays local."""
    return {
        "theme": _theme(),
        "css_paths": [_HERE / "page.css"],
        "head": f'<link rel="icon" href="{ICON}">',
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
        "enable_monitoring": False,
        # Errors that the page does not show itself may hold more than a user should see.
        "show_error": False,
        # Files go to POST /documents; Gradio's own upload route takes none.
        "max_file_size": 0,
    }


def _build(handlers: Handlers) -> gr.Blocks:
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    page: gr.Blocks
    with gr.Blocks(title=ZH.title, analytics_enabled=False, fill_width=True) as page:
        session = gr.State(Session())
        # The language chosen with the switch; nothing secret, and to outlive the server.
        chosen = gr.BrowserState("", storage_key="xhqa-language", secret="xhqa")
        with gr.Row(elem_id="xh-head"):
            name, adder, *_ = chrome(ZH)
            head = _html(name, elem_id="xh-name")
            add = _html(adder, elem_id="xh-add", js_on_load=_script("add.js"))
            switch = gr.Button(ZH.other_language, elem_id="xh-switch", **_SMALL)
            clear = gr.Button(ZH.new, elem_id="xh-clear", **_SMALL)
        with gr.Row(elem_id="xh-body", equal_height=True):
            with gr.Column(elem_id="xh-chat", min_width=0):
                talk = _html("", elem_id="xh-talk", js_on_load=_script("talk.js"))
                hints = _html("", elem_id="xh-hints", js_on_load=_script("hints.js"))
                box = _question_box()
            pane = _html("", elem_id="xh-pane", js_on_load=_script("pane.js"))
        start = [session, talk, pane]
        frame = [head, add, box, clear, switch, hints]
        steps = [box, *start]
        # Only questions wait in Gradio's queue: its client loses an event that joins at the moment
        # in which another one's end closes their stream.
        page.load(handlers.open, [chosen], [*start, *frame], queue=False, **private).then(
            handlers.suggest, [session], [hints], queue=False, **private
        )
        switch.click(handlers.switch, [session], [*start, *frame, chosen], queue=False, **private)
        # One event for all that may ask: of two at once each would end with the conversation that
        # it began with, and one turn would be lost.
        asking = gr.on(
            [box.submit, talk.submit, hints.submit],
            handlers.submit,
            [box, session],
            steps,
            trigger_mode="once",
            concurrency_limit=None,
            **private,
        )
        clear.click(handlers.renew, [session], start, queue=False, cancels=[asking], **private)
        add.submit(handlers.changed, [session], [*start, hints], queue=False, **private).then(
            handlers.suggest, [session], [hints], queue=False, **private
        )
        for source in (talk, pane):
            source.click(handlers.show, [session], [session, pane], queue=False, **private)
    return page


def _html(value: str, **options: Any) -> gr.HTML:
    return gr.HTML(value, **{"apply_default_css": False, "js_on_load": None, **options})


def _question_box() -> gr.Textbox:
    return gr.Textbox(
        label=ZH.question,
        show_label=False,
        container=False,
        placeholder=ZH.placeholder,
        max_length=MAX_QUESTION,
        max_lines=5,
        submit_btn=ZH.send,
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


async def _build_in_a_loop(handlers: Handlers) -> gr.Blocks:
    return _build(handlers)
