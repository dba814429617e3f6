from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from xhqa_ui.handlers import MAX_HISTORY, Handlers
from xhqa_ui.page import build_page
from xhqa_ui.records import Session, Shown
from xhqa_ui.words import EN, ZH

from xhqa.errors import BusyError, InputError
from xhqa.feedback import FeedbackFile
from xhqa.suggest import Draft
from xhqa.types import OutlineEntry, Turn

SKIP = gr.skip()


@pytest.fixture
def service(make: Any) -> Any:
    one = make.document("徐汇有755家企业。", "one", "徐汇")
    two = make.document("上海有64个模型。\n北京没有写。", "two", "上海")
    return make.service(
        [one, two],
        {
            "几家": make.answer(make.citation(one, "755家", "徐汇有755家企业。"), question="几家"),
            "几个": make.answer(make.citation(two, "64个", "上海有64个模型。"), question="几个"),
            "北京": make.refusal(make.passage(two, "北京没有写。"), question="北京"),
            "坏": InputError("the question is too long"),
            "崩": RuntimeError("secret"),
        },
        headings={"two": (OutlineEntry("模型", 1, 0), OutlineEntry("北京", 1, 10))},
        made={"one": (Draft("几家", "one", 3, 7), Draft("没有", "one", 0, 2)),
              "two": (Draft("几个", "two", 3, 6),)},
    )  # fmt: skip


def last(handlers: Handlers, question: str, session: Session | None = None) -> Any:
    return list(handlers.ask(question, session or Session()))[-1]


def asked(handlers: Handlers, *questions: str, session: Session | None = None) -> Session:
    session = session or Session()
    for question in questions:
        session = last(handlers, question, session)[1]
    return session


def chosen(**data: Any) -> gr.EventData:
    return gr.EventData(None, data)


def browser(accepted: str = "zh-CN") -> Any:
    return SimpleNamespace(headers={"accept-language": accepted})


def test_ask_shows_the_question_first(service: Any) -> None:
    box, session, talk, pane = next(Handlers(service).ask("  几家 ", Session()))
    assert box == ""
    assert session == pane == SKIP
    assert "几家" in talk
    assert "正在文档里查找" in talk
    assert service.asked == []


def test_ask_answers_and_shows_the_document(service: Any) -> None:
    _, session, talk, pane = last(Handlers(service), "几家")
    assert [(t.question, t.answer.text) for t in session.turns] == [("几家", "755家")]
    assert '<p class="xh-answer-text">755家</p>' in talk
    assert 'data-focus="xh-c1-1"' in pane
    assert ">755家</mark>" in pane


def test_refusal_leaves_the_pane_alone_and_offers_what_is_answered(service: Any) -> None:
    handlers = Handlers(service)
    steps = list(handlers.ask("北京", Session()))
    assert [len(service.asked), len(steps)] == [1, 2], "the refusal does not wait for the examples"
    assert "文档能回答的问题" not in steps[1][2]
    handlers.suggest(Session())
    assert len(service.asked) == 4, "three examples tried"
    session, talk, pane = list(handlers.ask("北京", Session()))[1][1:]
    assert session.turns[0].answer.text is None
    assert "最接近但不足以回答" in talk
    assert "查了 2 篇文档" in talk
    assert session.turns[0].hints == ("几个", "几家"), "the nearest document's question first"
    assert pane == SKIP


def test_a_refusal_takes_the_marks_of_an_earlier_answer_away(service: Any) -> None:
    handlers = Handlers(service)
    session = asked(handlers, "几家")
    assert session.shown.turn == 1
    steps = list(handlers.ask("北京", session))
    assert [(step[1].shown.document_id, step[1].shown.turn) for step in steps[1:]] == [("one", 0)]
    assert "徐汇有755家企业。" in steps[1][3]
    assert "<mark" not in steps[1][3]
    assert asked(handlers, "谢谢", session=session).shown is session.shown


def test_history_is_the_last_turns_that_were_questions(service: Any) -> None:
    handlers = Handlers(service)
    handlers.suggest(Session())
    service.asked.clear()
    session = asked(handlers, "几家", "坏", "谢谢", "北京", *["几个"] * MAX_HISTORY)
    assert [question for question, _ in service.asked[:4]] == ["几家", "坏", "北京", "几个"]
    assert service.asked[2][1] == (Turn("几家", "755家"),)
    assert service.asked[3][1] == (Turn("几家", "755家"), Turn("北京", None))
    asked(handlers, "最后", session=session)
    assert service.asked[-1][1] == (Turn("几个", "64个"),) * MAX_HISTORY


@pytest.mark.parametrize("question", ["", "  \n"])
def test_nothing_to_ask(service: Any, question: str) -> None:
    assert last(Handlers(service), question) == (SKIP,) * 4
    assert service.asked == []


def test_an_error_is_a_message(service: Any) -> None:
    _, session, talk, pane = last(Handlers(service), "坏")
    assert session.turns[0].problem == "the question is too long"
    assert "the question is too long" in talk
    assert pane == SKIP


def test_an_error_is_explained_in_the_language_of_the_page(service: Any) -> None:
    service.replies = {"忙": BusyError("another process is writing")}
    in_chinese = last(Handlers(service), "忙")[2]
    assert "索引正在更新，请过一会儿再试。（another process is writing）" in in_chinese
    in_english = last(Handlers(service), "忙", Session(language="en"))[2]
    assert "another process is writing" in in_english
    assert "索引" not in in_english


def test_a_fault_is_a_message_without_its_text_and_is_raised(service: Any) -> None:
    steps = Handlers(service).ask("崩", Session(language="en"))
    next(steps)
    assert EN.fault in next(steps)[2]
    with pytest.raises(RuntimeError, match="secret"):
        next(steps)


def test_a_document_that_is_gone_is_a_message(service: Any) -> None:
    service.docs = service.docs[1:]
    _, _, talk, pane = last(Handlers(service), "几家")
    assert "755家" in talk
    assert "打不开" in pane


def test_asides_are_not_asked_of_the_documents(service: Any) -> None:
    handlers = Handlers(service)
    for said, words in [("你好", ZH.asides["greeting"]), ("你能做什么", "总结一下")]:
        assert words in last(handlers, said)[2]
    assert "徐汇有755家企业。" in last(handlers, "总结一下")[2]
    talk = last(handlers, "有哪些文档？")[2]
    assert 'data-document="one"' in talk
    assert 'data-document="two"' in talk
    assert service.asked == []


def test_a_summary_is_cited_and_marked(service: Any) -> None:
    handlers = Handlers(service)
    _, session, talk, pane = last(handlers, "总结一下")
    assert talk.count("xh-chip ") == 2, "both documents"
    assert ">徐汇有755家企业。</mark>" in pane
    assert ">上海有64个模型。</mark>" in handlers.show(session, chosen(anchor="xh-c1-2"))[1]


def test_a_wish_is_about_the_document_named_or_cited_last(service: Any) -> None:
    handlers = Handlers(service)
    named = last(handlers, "总结一下《上海》")[2]
    assert "上海有64个模型" in named
    assert "徐汇" not in named
    session = asked(handlers, "几家")
    talk = last(handlers, "总结一下", session)[2]
    assert talk.count("xh-digest") == 1
    assert "上海" not in talk
    # By its title in whatever script and case, or by its file.
    for name in ("上海", "TWO", "two.txt"):
        talk = last(handlers, f"总结一下《{name}》")[2]
        assert "上海有64个模型" in talk
        assert "徐汇" not in talk
    (elsewhere,) = asked(handlers, "总结一下《无》").turns
    assert elsewhere.aside is None
    outline = last(handlers, "有哪些章节", asked(handlers, "几个"))[2]
    assert 'data-document="two" data-anchor="xh-h-10">北京</a>' in outline
    assert "没有分小节" in last(handlers, "有哪些章节", session)[2]
    # Of a book that is no document here some document may say it.
    (elsewhere,) = asked(handlers, "《红楼梦》有多少章？").turns
    assert elsewhere.aside is None
    assert elsewhere.answer is not None


def test_show(service: Any) -> None:
    handlers = Handlers(service)
    session = asked(handlers, "几家", "几个", "北京")
    assert ">755家</mark>" in handlers.show(session, chosen(anchor="xh-c1-1"))[1]
    assert ">64个</mark>" in handlers.show(session, chosen(anchor="xh-c2-1"))[1]
    assert 'data-focus="xh-p3-1"' in handlers.show(session, chosen(anchor="xh-p3-1"))[1]
    kept, pane = handlers.show(Session(), chosen(document="two", anchor="xh-h-10"))
    assert "上海有64个模型" in pane
    assert 'data-focus="xh-h-10"' in pane
    assert kept.shown.document_id == "two"
    assert 'data-focus=""' in handlers.show(session, chosen(document="two", anchor="xh-c1-1"))[1]
    assert "打不开" in handlers.show(Session(), chosen(document="three"))[1]
    kept, pane = handlers.show(session, chosen(shelf=True))
    assert kept.shown is None
    assert 'data-remove="two"' in pane


def test_changed_documents(service: Any) -> None:
    handlers = Handlers(service)
    session = asked(handlers, "几家")
    kept, talk, pane, hints = handlers.changed(session, chosen(document="two"))
    assert kept.turns == session.turns
    assert "上海有64个模型" in pane
    service.docs = []
    kept, talk, pane, hints = handlers.changed(replace(session, turns=()), chosen(document=None))
    assert kept.shown is None
    assert "还没有文档" in talk
    assert "data-remove" not in pane
    assert hints == ""


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
        {"anchor": "xh-h-3"},
        {"document": 7},
    ],
)
def test_show_ignores_what_is_not_there(service: Any, data: dict[str, Any]) -> None:
    handlers = Handlers(service)
    session = asked(handlers, "几家")
    assert handlers.show(session, chosen(**data)) == (SKIP, SKIP)
    assert handlers.show(session, gr.EventData(None, None)) == (SKIP, SKIP)


def acted(handlers: Handlers, session: Session, **data: Any) -> Any:
    return list(handlers.act(session, chosen(**data)))[-1]


def test_undo_edit_and_retry(service: Any) -> None:
    handlers = Handlers(service)
    session = asked(handlers, "几家", "几个")
    box, fewer, talk, pane = acted(handlers, session, act="undo")
    assert box == SKIP
    assert [t.question for t in fewer.turns] == ["几家"]
    assert "64个" not in talk
    assert "<mark" not in pane, "what is undone is no longer marked"
    box, fewer, _, _ = acted(handlers, session, act="edit")
    assert (box, len(fewer.turns)) == ("几个", 1)
    service.replies = {**service.replies, "几个": service.replies["北京"]}
    again = acted(handlers, session, act="retry")[1]
    assert [t.question for t in again.turns] == ["几家", "几个"]
    assert again.turns[1].answer.text is None
    assert service.asked[2] == ("几个", (Turn("几家", "755家"),)), "itself not in its history"
    for act in ("undo", "edit", "retry"):
        assert acted(handlers, Session(), act=act) == (SKIP,) * 4


def test_a_chosen_question_is_asked(service: Any) -> None:
    handlers = Handlers(service)
    session = acted(handlers, Session(), act="ask", question="几家")[1]
    assert session.turns[0].answer.text == "755家"
    for data in ({"act": "ask"}, {"act": "ask", "question": "问" * 1001}, {"act": "x"}, {}):
        assert acted(handlers, session, **data) == (SKIP,) * 4


def test_the_box_and_the_buttons_are_one_event(service: Any) -> None:
    handlers = Handlers(service)
    session = list(handlers.submit("几家", Session(), gr.EventData(None, None)))[-1][1]
    assert [turn.question for turn in session.turns] == ["几家"]
    steps = list(handlers.submit("不问", session, chosen(act="ask", question="几个")))
    assert [turn.question for turn in steps[-1][1].turns] == ["几家", "几个"]
    # Of events that keep what was said, no two can be under way.
    page = build_page(service)
    (asking,) = [
        event
        for event in page.config["dependencies"]
        if any(trigger == "submit" for _, trigger in event["targets"]) and event["queue"]
    ]
    assert len(asking["targets"]) == 3
    assert asking["trigger_mode"] == "once"


def test_verdicts_are_kept(service: Any, tmp_path: Path) -> None:
    file = FeedbackFile(tmp_path / "f.sqlite")
    handlers = Handlers(service, file)
    session = asked(handlers, "几家", "几个")
    _, session, talk, pane = acted(handlers, session, act="right", turn=1)
    assert pane == SKIP
    assert 'data-turn="1" aria-pressed="true"' in talk
    _, session, talk, _ = acted(handlers, session, act="wrong", turn=2)
    assert "<form" in talk
    session = acted(handlers, session, act="correct", turn=2, answer=" 65个 ")[1]
    kept = [(f.question, f.history, f.verdict, f.right_answer, f.start) for f in file.all()]
    before = (Turn("几家", "755家"),)
    assert kept == [
        ("几家", (), "right", None, 3),
        ("几个", before, "wrong", None, 3),
        ("几个", before, "wrong", "65个", 3),
    ]
    assert (session.turns[1].verdict, session.turns[1].corrected) == ("wrong", True)
    for data in ({"turn": 3}, {"turn": 0}, {"turn": "1"}, {"turn": None}):
        assert acted(handlers, session, act="right", **data) == (SKIP,) * 4
    assert acted(Handlers(service), session, act="right", turn=1) == (SKIP,) * 4
    assert len(file.all()) == 3


def test_open(service: Any) -> None:
    session, talk, pane = Handlers(service).open("", browser())[:3]
    assert session.turns == ()
    assert "问一个问题" in talk
    assert 'data-document="two"' in pane
    service.docs = service.docs[:1]
    assert "徐汇有755家企业" in Handlers(service).open("", browser())[2], "one is shown at once"
    service.docs = []
    opened = Handlers(service).open("", browser())
    assert "还没有文档" in opened[1]
    assert opened[-1] == "", "no questions are looked for"


def test_language_is_the_choice_before_then_the_browsers(service: Any) -> None:
    handlers = Handlers(service)
    for choice, accepted, words in [("", "en-US", EN), ("zh", "en", ZH), ("en", "zh", EN)]:
        session, talk, _, head, add, box, *_ = handlers.open(choice, browser(accepted))
        assert session.words == words
        assert words.welcome in talk
        assert words.title in head
        assert words.add in add
        assert box["placeholder"] == words.placeholder


def test_the_switch_keeps_the_conversation(service: Any) -> None:
    handlers = Handlers(service)
    session = asked(handlers, "北京", "几家")
    english, talk, pane, head, *_, remembered = handlers.switch(session)
    assert remembered == "en"
    assert "Nearest, but not enough" in talk
    assert "755家" in talk
    assert "characters" in pane
    assert ">755家</mark>" in pane, "what was shown still is"
    assert EN.title in head
    assert handlers.switch(english)[1] == handlers._talk(session)
    assert handlers.renew(english)[0].language == "en"
    assert handlers.renew(english)[0].turns == ()


def test_hints_are_filled_in_later(service: Any) -> None:
    handlers = Handlers(service)
    assert ZH.finding_hints in handlers.open("", browser())[-1]
    assert service.asked == [], "opening the page asks nothing"
    hints = handlers.suggest(Session())
    assert 'data-question="几家"' in hints
    assert 'data-question="几个"' in hints
    assert "没有" not in hints, "what is not answered is not suggested"
    asked_by_now = len(service.asked)
    assert handlers.open("", browser())[-1] == handlers.suggest(Session())
    assert len(service.asked) == asked_by_now


def test_a_turn_that_was_shown_and_undone(service: Any) -> None:
    handlers = Handlers(service)
    session = replace(asked(handlers, "几家", "几个"), shown=Shown("one", 1, "xh-c1-1"))
    assert ">755家</mark>" in acted(handlers, session, act="undo")[3]


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
    assert ZH.title in served.text
    for host in ("fonts.googleapis.com", "fonts.gstatic.com", "cdn."):
        assert host not in served.text
        assert host not in client.get("/theme.css").text
    upload = client.post("/gradio_api/upload", files={"files": ("a.txt", b"x")})
    assert upload.status_code == 413
