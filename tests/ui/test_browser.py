"""The page in a real browser. Every test also fails on a console error, a dialog, or any request
to another host."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from xhqa.api.edge import CONTENT_SECURITY_POLICY
from xhqa.errors import InputError

pytestmark = pytest.mark.integration

CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LAPTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
HOSTILE = (
    "<img src=x onerror=alert(1)> ![x](http://evil.example/a.png) "
    "<script>alert(2)</script> ${alert(3)} {{value}}"
)


def not_run(reason: str) -> NoReturn:
    """Skip in plain words; but where CI runs, a browser test that does not run is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        not_run("browser tests did not run: pip install 'playwright>=1.58,<2'")
    if not CHROMIUM.exists():
        not_run("browser tests did not run: apt-get install chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def service(make: Any) -> Any:
    filler = "这一段只为让文档变长,好看出页面有没有滚动。\n\n"
    # Characters beyond the BMP and CRLF: offsets in JavaScript would be wrong here.
    plain = make.document(
        f"{filler * 40}𠮷野家😀\r\n据说,徐汇有755家大模型企业。\n\n{filler * 40}也就是755家。\n",
        "plain",
    )
    hostile = make.document(f"{filler * 30}甲 {HOSTILE} 乙。\n{filler * 30}", "evil", HOSTILE)
    return make.service(
        [plain, hostile],
        {
            "有多少家": make.answer(
                make.citation(plain, "755家", "徐汇有755家大模型企业。", section="核爆点"),
                make.citation(plain, "755家", "也就是755家。", index=2, section="结语"),
            ),
            "恶意": make.answer(make.citation(hostile, HOSTILE, f"甲 {HOSTILE} 乙。", 1, HOSTILE)),
            HOSTILE: make.refusal(make.passage(hostile, HOSTILE, HOSTILE)),
            "坏": InputError("the question cannot be used"),
        },
    )


@pytest.fixture(scope="module")
def address(make: Any, service: Any) -> Iterator[str]:
    app = FastAPI()

    @app.middleware("http")
    async def policy(request: Request, call_next: Callable[[Request], Any]) -> Response:
        response: Response = await call_next(request)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    make.mount(app, service)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            # The page holds a stream open for as long as it is shown.
            server.force_exit = True
            thread.join(timeout=20)


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    trouble: list[str] = []
    contexts = []

    def watch_request(request: Any) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            trouble.append(f"request to {request.url}")

    def watch_console(message: Any) -> None:
        if message.type in ("error", "warning"):
            trouble.append(f"console: {message.text}")

    def watch_dialog(dialog: Any) -> None:
        trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open_one(viewport: dict[str, int] = LAPTOP, scheme: str = "light") -> Any:
        context = browser.new_context(
            viewport=viewport, color_scheme=scheme, reduced_motion="reduce", locale="zh-CN"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", watch_request)
        page.on("console", watch_console)
        page.on("pageerror", lambda error: trouble.append(f"page error: {error}"))
        page.on("dialog", watch_dialog)
        page.goto(address)
        page.wait_for_selector(".xh-welcome")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert trouble == []


def ask(page: Any, question: str) -> Any:
    """Types and presses Enter; the reply once it is there."""
    turns = page.locator(".xh-turn").count()
    page.get_by_label("你的问题").fill(question)
    page.keyboard.press("Enter")
    reply = page.locator(".xh-turn").nth(turns).locator("article")
    reply.wait_for()
    return reply


def mark_text(page: Any, index: int) -> str:
    parts = page.locator(f'#xh-pane mark[data-cites~="{index}"]')
    return "".join(parts.evaluate_all("marks => marks.map((mark) => mark.textContent)"))


def wait_until_seen(page: Any, index: int) -> None:
    """Waits until the mark is inside both the pane's visible part and the window."""
    page.wait_for_function(
        """(index) => {
          const mark = document.querySelector(`#xh-pane mark[data-cites~="${index}"]`);
          if (!mark) return false;
          const box = mark.getBoundingClientRect();
          const pane = mark.closest(".xh-scroll").getBoundingClientRect();
          return box.top >= Math.max(pane.top, 0)
            && box.bottom <= Math.min(pane.bottom, window.innerHeight);
        }""",
        arg=index,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_answer_with_its_place(open_page: Any, service: Any, scheme: str) -> None:
    page = open_page(scheme=scheme)
    reply = ask(page, "有多少家")
    assert reply.locator(".xh-answer-text").text_content() == "755家"
    assert reply.locator(".xh-context mark").text_content() == "755家"
    wait_until_seen(page, 1)
    cited = [c.cited_text for c in service.replies["有多少家"].citations]
    assert [mark_text(page, 1), mark_text(page, 2)] == cited
    assert page.locator(".xh-document").text_content() == service.docs[0].text

    reply.get_by_text("[2] 结语").click()
    wait_until_seen(page, 2)
    reply.get_by_text("[1] 核爆点").click()
    wait_until_seen(page, 1)


def test_chip_of_an_earlier_turn(open_page: Any, service: Any) -> None:
    page = open_page()
    first = ask(page, "有多少家")
    ask(page, "恶意")
    wait_until_seen(page, 1)
    assert mark_text(page, 1) == HOSTILE
    first.locator(".xh-chip").first.focus()
    page.keyboard.press("Enter")
    page.locator("#xh-c1-1").wait_for(state="attached")
    wait_until_seen(page, 1)
    assert mark_text(page, 1) == "755家"


def test_refusal_card(open_page: Any) -> None:
    page = open_page()
    reply = ask(page, HOSTILE)
    assert "文档没有回答这个问题" in reply.text_content()
    assert reply.locator(".xh-nearest-title").text_content() == "最接近但不足以回答"
    assert reply.locator(".xh-chip").count() == 0
    reply.locator(".xh-passage").click()
    page.locator("#xh-p1-1").wait_for(state="attached")
    assert page.locator(".xh-document .xh-near").text_content() == HOSTILE


def test_hostile_data_is_inert(open_page: Any, service: Any) -> None:
    page = open_page()
    reply = ask(page, "恶意")
    wait_until_seen(page, 1)
    ask(page, HOSTILE)
    assert mark_text(page, 1) == HOSTILE
    assert reply.locator(".xh-answer-text").text_content() == HOSTILE
    assert page.locator(".xh-question").last.text_content() == HOSTILE
    assert page.locator(".xh-pane-title").text_content() == HOSTILE
    assert page.locator(".xh-document").text_content() == service.docs[1].text
    assert page.locator("#xh-body img, #xh-body script").count() == 0


def test_error_then_new_conversation(open_page: Any) -> None:
    page = open_page()
    assert "the question cannot be used" in ask(page, "坏").text_content()
    ask(page, "有多少家")
    page.get_by_role("button", name="新对话").click()
    page.wait_for_selector(".xh-welcome")
    assert page.locator(".xh-turn").count() == 0
    page.get_by_text(HOSTILE).click()
    page.locator(".xh-document").wait_for()


def test_follow_up_carries_the_history(open_page: Any, service: Any) -> None:
    page = open_page()
    ask(page, "有多少家")
    page.get_by_label("你的问题").fill("那 64 个呢?")
    page.get_by_role("button", name="发送").click()
    page.locator(".xh-turn").nth(1).locator("article").wait_for()
    question, history = service.asked[-1]
    assert question == "那 64 个呢?"
    assert [(turn.question, turn.answer) for turn in history] == [("有多少家", "755家")]
    assert page.get_by_label("你的问题").input_value() == ""


def test_phone(open_page: Any) -> None:
    page = open_page(PHONE)
    reply = ask(page, "有多少家")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    above, below = page.locator("#xh-ask").bounding_box(), page.locator("#xh-pane").bounding_box()
    assert above["y"] + above["height"] <= below["y"]
    reply.locator(".xh-chip").first.click()
    wait_until_seen(page, 1)
    assert mark_text(page, 1) == "755家"
