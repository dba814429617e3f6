"""The page's own words, in each language it speaks. ``|`` cuts a text into phrases for the line
breaks (``render.phrases``); ``{}`` takes a value, always escaped by whoever puts it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xhqa.errors import (
    BusyError,
    DeadlineError,
    IndexDamagedError,
    ModelError,
    NotFoundError,
    OverloadedError,
    StorageFullError,
    StoreError,
    XhqaError,
)
from xhqa.intent import Kind

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Words:
    """Everything the page says."""

    lang: str
    title: str
    tagline: str
    other_language: str
    new: str
    add: str
    adding: dict[str, str]
    conversation: str
    question: str
    placeholder: str
    send: str
    welcome: str
    welcome_note: str
    no_documents: str
    no_documents_note: str
    hints: str
    finding_hints: str
    seeking: str
    understood: str
    sure: str
    levels: tuple[str, str, str]
    probability: str
    took: str
    citations: str
    open_citation: str
    copy: str
    copied: str
    not_copied: str
    refused: dict[str, tuple[str, str]]
    searched: str
    nearest: str
    instead: str
    problem: str
    # What stands before an error's own message, which is English.
    problems: dict[type[XhqaError], str]
    fault: str
    last_question: str
    retry: str
    edit: str
    undo: str
    was_it_right: str
    right: str
    wrong: str
    right_answer: str
    submit: str
    noted: str
    asides: dict[Kind, str]
    no_summary: str
    no_outline: str
    documents: str
    document_count: str
    characters: str
    page: str
    full_text: str
    sections: str
    shelf: str
    no_shelf: str
    changed: str
    empty_document: str
    all_documents: str
    to_talk: str
    remove: str
    really_remove: str
    gone: str

    def said(self, error: XhqaError) -> str:
        """An error for a reader of the page."""
        known = self.problems.get(type(error))
        return f"{known}（{error}）" if known else str(error)


ZH = Words(
    lang="zh-CN",
    title="原文问答",
    tagline="只用文档里的原话回答，|并标出它在哪里；|文档没写的，就说没有。",
    other_language="English",
    new="新对话",
    add="添加文档",
    adding={
        "waiting": "等待中…",
        "sending": "正在发送…",
        "indexing": "正在建立索引…",
        "added": "已加入，可以提问了",
        "failed": "没能送到服务器，请再试一次",
        "409": "别的文档还在建立索引，请过一会儿再添加",
        "413": "文件太大",
        "422": "这个文件读不了",
        "429": "现在用的人太多，请过几秒再添加",
        "503": "索引现在打不开，请过一会儿再添加",
        "507": "服务器的磁盘满了",
        "dismiss": "关闭",
        "drop": "松开鼠标，添加这些文档",
    },
    conversation="对话",
    question="你的问题",
    placeholder="问文档里写到的事，按回车发送",
    send="发送",
    welcome="问一个问题",
    welcome_note="答案是文档里的原话。|点答案下面的引文标签，|就能看到它在原文里的位置。",
    no_documents="还没有文档",
    no_documents_note="点右上角的“添加文档”，|或把文件拖到页面上。",
    hints="可以这样问",
    finding_hints="正在从文档里找几个问题…",
    seeking="正在文档里查找…",
    understood="理解为：",
    sure="把握：",
    levels=("低", "中", "高"),
    probability="答对的概率约 {}",
    took="用时 {} 秒",
    citations="引文",
    open_citation="在新标签页打开引文 {}",
    copy="复制引文 {}",
    copied="已复制",
    not_copied="没能复制",
    refused={
        "no_evidence": ("文档没有回答这个问题。", "换一种问法，|或者问文档里写到的内容。"),
        "low_confidence": (
            "文档没有明确回答这个问题。",
            "找到了相关的段落，|但没有哪一处足以当作答案。",
        ),
        "empty_index": ("还没有可以查的文档。", "先添加文档，|再来提问。"),
    },
    searched="查了 {} 篇文档。",
    nearest="最接近但不足以回答",
    instead="文档能回答的问题",
    problem="这一问没能完成",
    problems={
        BusyError: "索引正在更新，请过一会儿再试。",
        OverloadedError: "现在提问的人太多，请过几秒再试。",
        DeadlineError: "这一问用的时间太长，请换个短一些的问法。",
        StorageFullError: "服务器的磁盘满了。",
        IndexDamagedError: "索引损坏了，需要重新建立。",
        ModelError: "模型加载不了。",
        StoreError: "存放索引的服务没有应答，请过一会儿再试。",
        NotFoundError: "它已经被删除了。",
    },
    fault="服务内部出错，详情见服务的日志。",
    last_question="对最后一问",
    retry="重试",
    edit="修改",
    undo="撤回",
    was_it_right="这个回答对吗？",
    right="对",
    wrong="不对",
    right_answer="正确的答案是（可以不填）",
    submit="提交",
    noted="谢谢，已记在本机。",
    asides={
        "greeting": "你好！请问一个文档里写到的问题，我会用原文回答。",
        "thanks": "不客气。还想知道什么，接着问就好。",
        "farewell": "再见，随时再来问。",
        "abilities": "我从文档里找出能回答问题的原话，并标出它在哪里；文档没写的，我会说没有。"
        "还可以对我说“总结一下”“有哪些章节”“有哪些文档”。",
        "summary": "各部分最有代表性的原句：",
        "outline": "文档的小节：",
        "documents": "可以查的文档：",
    },
    no_summary="文档里没有可以摘录的句子。",
    no_outline="文档没有分小节。",
    documents="文档",
    document_count="{} 篇",
    characters="{} 字",
    page="第 {} 页",
    full_text="文档全文",
    sections="小节",
    shelf="文档目录",
    no_shelf="添加文档之后，|原文会显示在这里。",
    changed="这篇文档在回答之后改动过，原来的引文位置已经失效。",
    empty_document="这篇文档没有文字。",
    all_documents="全部文档",
    to_talk="回到对话",
    remove="删除 {}",
    really_remove="确认删除",
    gone="这篇文档打不开了：{}",
)

EN = Words(
    lang="en",
    title="Ask the documents",
    tagline="Answers in the documents' own words, |with the place they stand; |"
    "what is not in them, it says so.",
    other_language="中文",
    new="New chat",
    add="Add documents",
    adding={
        "waiting": "Waiting…",
        "sending": "Sending…",
        "indexing": "Indexing…",
        "added": "Added, ready to be asked",
        "failed": "It did not reach the server: try again",
        "dismiss": "Close",
        "drop": "Drop to add these documents",
    },
    conversation="Conversation",
    question="Your question",
    placeholder="Ask, then press Enter",
    send="Send",
    welcome="Ask a question",
    welcome_note="The answer is the document's own words. |Choose a citation below it |"
    "to see where it stands.",
    no_documents="No documents yet",
    no_documents_note="Choose “Add documents” above, |or drop files onto the page.",
    hints="You could ask",
    finding_hints="Finding a few questions in the documents…",
    seeking="Looking in the documents…",
    understood="Understood as: ",
    sure="Confidence: ",
    levels=("low", "medium", "high"),
    probability="right with a probability of about {}",
    took="{} s",
    citations="Citations",
    open_citation="Open citation {} in a new tab",
    copy="Copy citation {}",
    copied="Copied",
    not_copied="Could not copy",
    refused={
        "no_evidence": (
            "The documents do not answer this.",
            "Try other words, |or ask about what is in them.",
        ),
        "low_confidence": (
            "The documents do not clearly answer this.",
            "There are passages about it, |but none that will do as an answer.",
        ),
        "empty_index": ("There are no documents to look in.", "Add some, |then ask again."),
    },
    searched="Documents searched: {}.",
    nearest="Nearest, but not enough to answer",
    instead="Questions the documents do answer",
    problem="This question could not be completed",
    problems={},
    fault="Something went wrong inside the service; its log says what.",
    last_question="The last question",
    retry="Retry",
    edit="Edit",
    undo="Undo",
    was_it_right="Was this right?",
    right="Right",
    wrong="Wrong",
    right_answer="The right answer (optional)",
    submit="Submit",
    noted="Thank you, noted on this machine.",
    asides={
        "greeting": "Hello! Ask about something in the documents, I answer in their own words.",
        "thanks": "You are welcome. Just go on asking.",
        "farewell": "Goodbye, come back any time.",
        "abilities": "I find the words in the documents that answer a question and show where "
        "they stand; where there are none, I say so. You can also say “summarize”, "
        "“what sections are there” or “what documents are there”.",
        "summary": "The sentence that stands for each part:",
        "outline": "The document's sections:",
        "documents": "Documents that can be asked:",
    },
    no_summary="There are no sentences to quote in the documents.",
    no_outline="The document has no sections.",
    documents="Documents",
    document_count="{}",
    characters="{} characters",
    page="page {}",
    full_text="Full text",
    sections="Sections",
    shelf="List of documents",
    no_shelf="Once there are documents, |they are shown here.",
    changed="This document has changed since: the citations' places no longer hold.",
    empty_document="This document has no text.",
    all_documents="All documents",
    to_talk="To the conversation",
    remove="Remove {}",
    really_remove="Really remove",
    gone="This document cannot be opened any more: {}",
)

WORDS: dict[Language, Words] = {"zh": ZH, "en": EN}
