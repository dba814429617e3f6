from __future__ import annotations

import pytest

from xhqa.intent import Wish, wish_of


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("greeting", "你好！|您好|早上好|Hello!|hi there|Good morning.|在吗？|嗨"),
        ("thanks", "谢谢|谢谢你！|多谢了|非常感谢|Thanks!|Thank you very much|辛苦了"),
        ("farewell", "再见|拜拜|Bye|see you later"),
        (
            "abilities",
            "你能做什么？|你会什么|你是谁|帮助|What can you do?|怎么用|我可以问什么？|help",
        ),
        (
            "summary",
            "总结一下|请总结一下这篇文章|概括全文|这篇文章讲了什么？|文章的主要内容是什么|帮我总结一下吧"
            "|Summarize the document.|Give me a short summary|What's this document about?|TL;DR"
            "|能不能总结一下？|Could you please summarize this?|總結一下",
        ),
        (
            "outline",
            "有哪些章节|有哪些章节？|这篇文章有哪些小节|列出目录|文章的结构|大纲|文章分为几个部分|这份报告有哪些部分？"
            "|What sections are there?|Show me the outline|table of contents",
        ),
        ("documents", "有哪些文档？|列出所有文档|What documents do you have?"),
    ],
)
def test_wishes(kind: str, said: str) -> None:
    for text in said.split("|"):
        wish = wish_of(text)
        assert wish is not None, text
        assert wish.kind == kind, text


@pytest.mark.parametrize(
    "question",
    [
        "徐汇有多少家大模型企业？",
        "总结一下徐汇的旧改工作",
        "你好的英文怎么说",
        "谢谢是谁写的",
        "第三章讲了什么",
        "模速空间有哪些部分入驻",
        "小区的主要内容是什么颜色",
        "What can the dispatch platform do?",
        "Who are the supervisors?",
        "What is the summary judgment standard?",
        "那它呢",
        "它有哪些部分？",
        "有哪些部分",
        "他写了什么",
        "写了什么？",
        "？",
        "",
    ],
)
def test_questions_are_no_wishes(question: str) -> None:
    assert wish_of(question) is None


def test_a_title_is_taken_along() -> None:
    assert wish_of("总结一下《甲镇 Annals》") == Wish("summary", "甲镇 Annals")
    assert wish_of("《甲镇志》有哪些章节？") == Wish("outline", "甲镇志")
    assert wish_of("《甲镇志》的作者是谁？") is None


@pytest.mark.parametrize(
    "question",
    [
        "How does it work?",
        "怎么使用它？",
        "怎么用？",
        "有哪些功能？",
        "使用方法",
        "What is it about?",
    ],
)
def test_what_may_be_about_what_was_said_is_a_question_then(question: str) -> None:
    assert wish_of(question) is not None
    assert wish_of(question, talking=True) is None


def test_a_greeting_is_one_in_the_middle_of_a_conversation_too() -> None:
    assert wish_of("谢谢！", talking=True) == Wish("thanks")
    assert wish_of("你能做什么？", talking=True) == Wish("abilities")
    assert wish_of("这篇文章讲了什么？", talking=True) == Wish("summary")
