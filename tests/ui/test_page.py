from __future__ import annotations

from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from xhqa_ui.page import MAX_HISTORY, TITLE, Handlers, build_page
from xhqa_ui.render import Exchange

from xhqa.errors import InputError
from xhqa.types import Turn

SKIP = gr.skip()


@pytest.fixture
def service(make: Any) -> Any:
    one = make.document("徐汇有755家企业。", "one")
    two = make.document("上海有64个模型。\n北京没有写。", "two")
    return make.service(
        [one, two],
        {
            "几家": make.answer(make.citation(one, "755家", "徐汇有755家企业。")),
            "几个": make.answer(make.citation(two, "64个", "上海有64个模型。")),
            "北京": make.refusal(make.passage(two, "北京没有写。")),
            "坏": InputError("the question is too long"),
            "崩": RuntimeError("secret"),
        },
    )


def last(handlers: Handlers, question: str, turns: tuple[Exchange, ...] = ()) -> Any:
    return list(handlers.ask(question, turns))[-1]


def chosen(**data: Any) -> gr.EventData:
    return gr.EventData(None, data)


def test_ask_shows_the_question_first(service: Any) -> None:
    box, turns, talk, pane = next(Handlers(service).ask("  几家 ", ()))
    assert box == ""
    assert turns == pane == SKIP
    assert "几家" in talk
    assert "正在文档里查找" in talk
    assert service.asked == []


def test_ask_answers_and_shows_the_document(service: Any) -> None:
    _, turns, talk, pane = last(Handlers(service), "几家")
    assert [(t.question, t.answer.text) for t in turns] == [("几家", "755家")]
    assert '<p class="xh-answer-text">755家</p>' in talk
    assert 'data-focus="xh-c1-1"' in pane
    assert ">755家</mark>" in pane


def test_refusal_leaves_the_pane_alone(service: Any) -> None:
    _, turns, talk, pane = last(Handlers(service), "北京")
    assert turns[0].answer.text is None
    assert "最接近但不足以回答" in talk
    assert pane == SKIP


def test_history_is_the_last_turns_without_failures(service: Any) -> None:
    handlers = Handlers(service)
    turns: tuple[Exchange, ...] = ()
    for question in ["几家", "坏", "北京", *["几个"] * MAX_HISTORY]:
        turns = last(handlers, question, turns)[1]
    assert service.asked[2] == ("北京", (Turn("几家", "755家"),))
    assert service.asked[3][1] == (Turn("几家", "755家"), Turn("北京", None))
    last(handlers, "最后", turns)
    assert service.asked[-1][1] == (Turn("几个", "64个"),) * MAX_HISTORY


@pytest.mark.parametrize("question", ["", "  \n"])
def test_nothing_to_ask(service: Any, question: str) -> None:
    assert last(Handlers(service), question) == (SKIP,) * 4
    assert service.asked == []


def test_an_error_is_a_message(service: Any) -> None:
    _, turns, talk, pane = last(Handlers(service), "坏")
    assert turns[0].problem == "the question is too long"
    assert "the question is too long" in talk
    assert pane == SKIP


def test_a_fault_is_a_message_without_its_text_and_is_raised(service: Any) -> None:
    steps = Handlers(service).ask("崩", ())
    next(steps)
    assert "服务内部出错" in next(steps)[2]
    with pytest.raises(RuntimeError, match="secret"):
        next(steps)


def test_a_document_that_is_gone_is_a_message(service: Any) -> None:
    service.docs = service.docs[1:]
    _, _, talk, pane = last(Handlers(service), "几家")
    assert "755家" in talk
    assert "打不开" in pane


def test_show(service: Any) -> None:
    handlers = Handlers(service)
    turns: tuple[Exchange, ...] = ()
    for question in ["几家", "几个", "北京"]:
        turns = last(handlers, question, turns)[1]
    assert ">755家</mark>" in handlers.show(turns, chosen(anchor="xh-c1-1"))
    assert ">64个</mark>" in handlers.show(turns, chosen(anchor="xh-c2-1"))
    assert 'data-focus="xh-p3-1"' in handlers.show(turns, chosen(anchor="xh-p3-1"))
    assert "上海有64个模型" in handlers.show((), chosen(document="two"))
    assert "打不开" in handlers.show((), chosen(document="three"))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"anchor": "xh-c0-1"},
        {"anchor": "xh-c9-1"},
        {"anchor": "xh-c1-9"},
        {"anchor": "xh-p1-1"},
        {"anchor": "xh-c²-1"},
        {"anchor": ["xh-c1-1"]},
        {"document": 7},
    ],
)
def test_show_ignores_what_is_not_there(service: Any, data: dict[str, Any]) -> None:
    handlers = Handlers(service)
    turns = last(handlers, "几家")[1]
    assert handlers.show(turns, chosen(**data)) == SKIP
    assert handlers.show(turns, gr.EventData(None, None)) == SKIP


def test_open(service: Any) -> None:
    turns, talk, pane = Handlers(service).open()
    assert turns == ()
    assert "问一个问题" in talk
    assert 'data-document="two"' in pane
    service.docs = service.docs[:1]
    assert "徐汇有755家企业" in Handlers(service).open()[2], "one document is shown at once"
    service.docs = []
    assert "还没有文档" in Handlers(service).open()[1]


def test_no_endpoint_is_public(service: Any) -> None:
    page = build_page(service)
    assert page.get_api_info() == {"named_endpoints": {}, "unnamed_endpoints": {}}
    assert page.analytics_enabled is False


def test_mounted_page(make: Any, service: Any) -> None:
    app = FastAPI()

    @app.get("/documents")
    def documents() -> list[str]:
        return ["the app's own routes come first"]

    make.mount(app, service)
    client = TestClient(app)
    assert client.get("/documents").json() == ["the app's own routes come first"]
    served = client.get("/")
    assert served.status_code == 200
    assert TITLE in served.text
    for host in ("fonts.googleapis.com", "fonts.gstatic.com", "cdn."):
        assert host not in served.text
        assert host not in client.get("/theme.css").text
    upload = client.post("/gradio_api/upload", files={"files": ("a.txt", b"x")})
    assert upload.status_code == 413
