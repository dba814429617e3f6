"""The page in a real browser. Every test also fails on a console error, a dialog, or any request
to another host."""

from __future__ import annotations

import os
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
import uvicorn
from pydantic import SecretStr
from support import HashEncoder
from xhqa_ui import build_page, mount_options

from xhqa.api import create_app
from xhqa.config import Settings
from xhqa.errors import InputError
from xhqa.feedback import FeedbackFile
from xhqa.ingest import build_index
from xhqa.pipeline import Pipeline

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
AXE = "4.14.1"
TOWNS = {
    "甲.txt": "甲镇志\n\n甲镇的古代石桥有三十座。甲镇的人口是五千。\n\n河流\n\n大河从甲镇中间穿过流向东海。\n",
    "乙.txt": "乙村种植水稻和小麦。乙村的学校建于1952年。\n",
}
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
def towns(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A real pipeline over a small encoder: follow-ups, outlines, examples."""
    folder = tmp_path_factory.mktemp("towns")
    for name, text in TOWNS.items():
        (folder / name).write_text(text, encoding="utf-8")
    settings = Settings(index_dir=folder / "index", min_confidence=0.0)
    index, _ = build_index([folder / name for name in TOWNS], HashEncoder(), settings)
    return Pipeline(index, HashEncoder(), settings)


@contextmanager
def served(service: Any, feedback: FeedbackFile, **settings: Any) -> Iterator[str]:
    """The whole application on a port of its own. Made in a thread, as Playwright has an event
    loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        app = pool.submit(
            create_app,
            service,
            settings=Settings(**settings),
            page=lambda asking: (build_page(asking, feedback), mount_options()),
        ).result()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            deadline = time.monotonic() + 60
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


@pytest.fixture(scope="module")
def feedback(tmp_path_factory: pytest.TempPathFactory) -> FeedbackFile:
    return FeedbackFile(tmp_path_factory.mktemp("said") / "feedback.sqlite")


@pytest.fixture(scope="module")
def address(service: Any, feedback: FeedbackFile) -> Iterator[str]:
    with served(service, feedback) as at:
        yield at


@pytest.fixture(scope="module")
def towns_address(towns: Pipeline, feedback: FeedbackFile) -> Iterator[str]:
    with served(towns, feedback) as at:
        yield at


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's script; half a megabyte that need not lie in the repository."""
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "pack", f"axe-core@{AXE}", "--silent"]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        not_run(f"the accessibility tests did not run: npm pack axe-core: {error}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


@pytest.fixture
def open_page(browser: Any, address: str, towns_address: str) -> Iterator[Callable[..., Any]]:
    trouble: list[str] = []
    contexts = []

    def watch_request(request: Any) -> None:
        if not request.url.startswith((address, towns_address, "data:", "blob:")):
            trouble.append(f"request to {request.url}")

    def watch_console(message: Any) -> None:
        # Chromium reports a refused file as an error; to the page it is an answer.
        refused = "status of 422" in message.text and message.location["url"].endswith("/documents")
        if message.type in ("error", "warning") and not refused:
            trouble.append(f"console: {message.text}")

    def watch_dialog(dialog: Any) -> None:
        trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def watch(page: Any) -> None:
        page.set_default_timeout(20_000)
        page.on("request", watch_request)
        page.on("console", watch_console)
        page.on("pageerror", lambda error: trouble.append(f"page error: {error}"))
        page.on("dialog", watch_dialog)

    def open_one(
        viewport: dict[str, int] = LAPTOP,
        scheme: str = "light",
        at: str = address,
        locale: str = "zh-CN",
    ) -> Any:
        context = browser.new_context(
            viewport=viewport,
            color_scheme=scheme,
            reduced_motion="reduce",
            locale=locale,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        context.on("page", watch)
        page = context.new_page()
        page.goto(at)
        if not at.startswith((f"{address}documents", f"{towns_address}documents")):
            page.wait_for_selector(".xh-welcome")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert trouble == []


def ask(page: Any, question: str) -> Any:
    """Types and presses Enter; the reply once it is there."""
    turns = page.locator(".xh-turn").count()
    page.locator("#xh-ask textarea").fill(question)
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

    chips = reply.locator(".xh-chip")
    assert chips.all_text_contents() == ["[1] 甲 · 核爆点", "[2] 甲 · 结语"]
    chips.nth(1).click()
    wait_until_seen(page, 2)
    chips.nth(0).click()
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
    assert mark_text(page, 1) == HOSTILE
    ask(page, HOSTILE)
    page.locator(".xh-document mark").wait_for(state="detached")
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


def test_no_turn_is_lost_where_a_question_comes_before_the_reply(
    open_page: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page()
    ask(page, "有多少家")
    ready, answer = threading.Event(), service.ask

    def slowly(*asked: Any) -> Any:
        ready.wait(20)
        return answer(*asked)

    monkeypatch.setattr(service, "ask", slowly)
    page.get_by_role("button", name="重试").click()
    page.locator(".xh-seeking").wait_for()
    box = page.get_by_label("你的问题")
    box.fill("那 64 个呢?")
    page.keyboard.press("Enter")
    ready.set()
    page.locator(".xh-seeking").wait_for(state="detached")
    assert page.locator(".xh-question").all_text_contents() == ["有多少家"]
    assert box.input_value() == "那 64 个呢?", "it can be sent now"
    ask(page, "那 64 个呢?")
    assert page.locator(".xh-question").all_text_contents() == ["有多少家", "那 64 个呢?"]


def test_documents_are_added_and_removed(
    open_page: Any, towns: Pipeline, towns_address: str
) -> None:
    page = open_page(at=towns_address)
    files = [
        {"name": name, "mimeType": "", "buffer": text.encode()}
        for name, text in (("丙城.txt", "丙城的高塔有九座。"), ("丁.pdf", "no PDF"))
    ]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="添加文档").click()
    chooser.value.set_files(files)
    rows = page.locator("#xh-uploads li")
    rows.filter(has_text="已加入").wait_for()
    refused = rows.filter(has_text="丁.pdf")
    refused.filter(has_text="这个文件读不了：").filter(has_text="is no PDF file").wait_for()
    assert "丙城" in {info.id for info in towns.documents()}

    # The pane shows the one that was added, and it can be asked.
    page.locator('#xh-pane [data-document="丙城"]').wait_for()
    assert page.locator(".xh-document").text_content() == "丙城的高塔有九座。"
    assert "九座" in ask(page, "丙城的高塔有几座?").locator(".xh-answer-text").text_content()
    refused.get_by_role("button").click()
    assert refused.count() == 0

    page.get_by_role("button", name="全部文档").click()
    page.locator(".xh-remove").nth(2).wait_for()
    remove = page.get_by_role("button", name="删除 丙城")
    remove.click()
    assert remove.text_content() == "确认删除"
    page.get_by_label("你的问题").click()
    assert remove.text_content() == "×"
    remove.click()
    remove.click()
    remove.wait_for(state="detached")
    assert {info.id for info in towns.documents()} == {"甲", "乙"}


def test_the_page_asks_for_a_key(browser: Any, service: Any, feedback: FeedbackFile) -> None:
    secret = "a-secret-for-asking"
    with served(service, feedback, api_keys=SecretStr(f"ask:{secret}")) as address:
        page = browser.new_page(viewport=PHONE, locale="zh-CN")
        page.goto(address)
        assert page.locator(".xh-welcome").count() == 0
        page.get_by_label("密钥").fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_role("alert").filter(has_text="密钥不对").wait_for()
        page.get_by_label("密钥").fill(secret)
        page.get_by_role("button", name="进入").click()
        page.wait_for_selector(".xh-welcome")
        assert ask(page, "有多少家").locator(".xh-answer-text").text_content() == "755家"
        assert secret not in str(page.evaluate("document.cookie"))
        page.context.close()


def test_a_dropped_file_is_added(open_page: Any, towns: Pipeline, towns_address: str) -> None:
    page = open_page(at=towns_address)
    transfer = page.evaluate_handle(
        """() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["戊港有七个码头。"], "戊港.txt"));
          return transfer;
        }"""
    )
    page.dispatch_event("#xh-talk", "dragover", {"dataTransfer": transfer})
    page.wait_for_selector(".gradio-container[data-drop]")
    page.dispatch_event("#xh-talk", "drop", {"dataTransfer": transfer})
    page.locator("#xh-uploads li", has_text="已加入").wait_for()
    assert page.locator(".gradio-container[data-drop]").count() == 0
    assert towns.document("戊港").text == "戊港有七个码头。"
    towns.remove("戊港")


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
    # And back again: the answer is in the window.
    page.get_by_role("button", name="回到对话").click()
    page.wait_for_function(
        """() => {
          const box = document.querySelector(".xh-answer-text").getBoundingClientRect();
          return box.top >= 0 && box.bottom <= innerHeight;
        }"""
    )


def test_the_mark_is_what_the_api_cites(open_page: Any, address: str) -> None:
    page = open_page()
    reply = ask(page, "有多少家")
    answered = page.request.post(f"{address}ask", data={"question": "有多少家"}).json()
    for citation in answered["citations"]:
        reply.locator(".xh-chip").nth(citation["index"] - 1).click()
        wait_until_seen(page, citation["index"])
        assert mark_text(page, citation["index"]) == citation["cited_text"]


def test_the_address_of_a_citation(open_page: Any, service: Any) -> None:
    page = open_page()
    reply = ask(page, "有多少家")
    second = service.replies["有多少家"].citations[1]
    with page.context.expect_page() as opened:
        reply.get_by_label("在新标签页打开引文 2").click()
    view = opened.value
    mark = view.locator("mark")
    mark.wait_for()
    assert view.url.endswith(
        f"/documents/plain/view#char={second.start_char_index},{second.end_char_index}"
    )
    assert mark.text_content() == second.cited_text
    before = "document.querySelector('mark').previousSibling.textContent"
    assert view.evaluate(before) == service.docs[0].text[: second.start_char_index]
    assert view.locator("#text").text_content() == service.docs[0].text
    view.wait_for_function(
        """() => {
          const box = document.querySelector("mark").getBoundingClientRect();
          return box.top >= 0 && box.bottom <= innerHeight;
        }"""
    )
    view.get_by_role("button", name="复制引文").click()
    view.get_by_text("已复制").wait_for()
    assert view.evaluate("navigator.clipboard.readText()") == "“755家”——《甲》"
    # Other addresses of the same page.
    for fragment, words in [("char=0,2", "这一"), ("char=5,2", None), ("char=9999999,", None)]:
        view.evaluate("fragment => { location.hash = fragment; }", fragment)
        if words is None:
            view.get_by_text("没有可以标出的文字").wait_for()
            assert mark.count() == 0
        else:
            view.wait_for_function("document.querySelector('mark')?.textContent === '这一'")


def test_copying_a_quotation(open_page: Any) -> None:
    page = open_page()
    ask(page, "有多少家").get_by_label("复制引文 2").click()
    page.get_by_text("已复制").first.wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == "“755家”——《甲》·结语"


def test_a_hostile_document_on_its_own_page(open_page: Any, address: str, service: Any) -> None:
    start = service.docs[1].text.index(HOSTILE)
    at = f"{address}documents/evil/view#char={start},{start + len(HOSTILE)}"
    page = open_page(at=at)
    assert page.locator("mark").text_content() == HOSTILE
    assert page.locator("h1").text_content() == HOSTILE
    assert page.title() == HOSTILE.strip()
    assert page.locator("#text").text_content() == service.docs[1].text
    assert page.locator("body img, body script").count() == 0


def test_three_turns_that_lean_on_one_another(open_page: Any, towns_address: str) -> None:
    page = open_page(at=towns_address)
    assert "水稻和小麦" in ask(page, "乙村种植什么？").text_content()
    second = ask(page, "它的学校建于哪年？")
    assert "1952年" in second.locator(".xh-answer-text").text_content()
    understood = second.locator(".xh-understood").text_content()
    assert understood.startswith("理解为：")
    assert "乙村" in understood
    third = ask(page, "那甲镇的石桥呢？")
    assert "甲镇的石桥" in third.locator(".xh-understood").text_content()
    page.get_by_role("button", name="撤回").click()
    page.wait_for_function("document.querySelectorAll('.xh-turn').length === 2")
    page.get_by_role("button", name="修改").click()
    page.wait_for_function("document.querySelectorAll('.xh-turn').length === 1")
    page.wait_for_function(
        "document.querySelector('#xh-ask textarea').value === '它的学校建于哪年？'"
    )
    page.keyboard.press("Enter")
    page.locator(".xh-turn").nth(1).locator("article").wait_for()
    page.get_by_role("button", name="重试").click()
    # The old answer goes before the new one comes.
    page.wait_for_function(
        "[...document.querySelectorAll('.xh-turn article')].length === 2 && "
        "[...document.querySelectorAll('.xh-turn')].at(-1).textContent.includes('1952年')"
    )


def test_examples_come_from_the_documents(open_page: Any, towns_address: str) -> None:
    page = open_page(at=towns_address)
    page.get_by_role("button", name="乙村的学校建于哪一年？").click()
    page.locator(".xh-turn article").wait_for()
    assert "1952年" in page.locator(".xh-answer-text").text_content()
    assert not page.locator("#xh-hints").is_visible()


def test_an_outline_leads_into_the_document(open_page: Any, towns_address: str) -> None:
    page = open_page(at=towns_address)
    reply = ask(page, "有哪些章节？")
    reply.get_by_text("河流").click()
    page.locator("#xh-pane .xh-heading", has_text="河流").wait_for()
    assert page.locator("#xh-pane .xh-pane-title").text_content() == "甲镇志"
    summary = ask(page, "总结一下《甲镇志》")
    assert summary.locator(".xh-chip").count() >= 2
    page.locator("#xh-pane mark").first.wait_for()


def test_language_switch(open_page: Any) -> None:
    page = open_page()
    ask(page, "有多少家")
    page.get_by_role("button", name="English").click()
    page.get_by_text("Confidence: high").wait_for()
    assert page.evaluate("document.documentElement.lang") == "en"
    page.get_by_label("Your question").wait_for()
    assert mark_text(page, 1) == "755家"
    page.reload()
    page.get_by_text("Ask a question", exact=True).wait_for()
    english = open_page(locale="en-US")
    english.get_by_text("Ask a question", exact=True).wait_for()
    english.get_by_role("button", name="中文").click()
    english.get_by_text("问一个问题").wait_for()


def test_a_verdict_is_kept(open_page: Any, feedback: FeedbackFile) -> None:
    page = open_page()
    reply = ask(page, "有多少家").locator("xpath=..")
    reply.get_by_role("button", name="不对").click()
    page.get_by_label("正确的答案是").fill("756家")
    page.keyboard.press("Enter")
    page.locator(".xh-correct").wait_for(state="detached")
    assert [(f.verdict, f.right_answer) for f in feedback.all()][-2:] == [
        ("wrong", None),
        ("wrong", "756家"),
    ]


def test_by_keyboard_alone(open_page: Any) -> None:
    page = open_page()
    page.wait_for_function("document.activeElement?.tagName === 'TEXTAREA'")
    page.keyboard.type("有多少家")
    page.keyboard.press("Enter")
    page.locator(".xh-turn article").wait_for()
    page.locator(".xh-chip").nth(1).focus()
    page.keyboard.press("Enter")
    wait_until_seen(page, 2)
    for _ in range(3):
        page.keyboard.press("Tab")
    outlined = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outlined) != "none", "the focus is to be seen"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_accessibility(
    open_page: Any, axe: str, viewport: dict[str, int], scheme: str, address: str
) -> None:
    page = open_page(viewport, scheme)
    assert findings(page, axe) == []
    ask(page, "有多少家").locator("xpath=..").get_by_role("button", name="不对").click()
    page.get_by_label("正确的答案是").wait_for()
    ask(page, HOSTILE)
    ask(page, "坏")
    ask(page, "总结一下")
    assert findings(page, axe) == []
    view = open_page(viewport, scheme, at=f"{address}documents/plain/view#char=3,9")
    assert findings(view, axe) == []


def findings(page: Any, axe: str) -> list[str]:
    """axe-core's serious and critical findings, each with the first element it is about."""
    page.wait_for_timeout(300)
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{entry['id']}: {entry['nodes'][0]['html']} {entry['nodes'][0]['failureSummary']}"
        for entry in found["violations"]
        if entry["impact"] in ("serious", "critical")
    ]
