"""What is said to the page that is no question about the documents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from xhqa.script import fold

Kind = Literal["greeting", "thanks", "farewell", "abilities", "summary", "outline", "documents"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted; ``title`` is the document it was said of, where one was named."""

    kind: Kind
    title: str | None = None


_TEXT = r"(?:文章|文档|文件|文本|材料|资料|报告|课文|书|全文|文|内容)"
_THIS = rf"(?:(?:这|那|本|该|整|全)?(?:一)?(?:篇|份|个|本)?{_TEXT})"
_WHAT = r"(?:什么|啥|哪些|些什么|些啥)"
_ITEM = r"(?:document|article|text|file|page|report|book|it|this|that)s?"
_THE_ITEM = rf"(?:(?:the|this|that|these|all|whole|entire|my|your) )*{_ITEM}"

# Whole utterances only: whatever says more is a question and goes to the documents.
_KINDS: dict[Kind, str] = {
    "greeting": (
        r"(?:你|您|大家)好(?:啊|呀|哇|吗|哦)?|哈喽|哈啰|嗨+|喂|(?:你|您)?在吗|在不在"
        r"|(?:早上|上午|中午|下午|晚上)好(?:啊|呀)?|早安|早(?:啊|呀)?|晚安"
        r"|(?:hi|hello|hey|hiya|greetings)(?: there| again| everyone)?"
        r"|good (?:morning|afternoon|evening|day)|how are you(?: doing| today)?"
    ),
    "thanks": (
        r"(?:好的?|非常|十分|太|多|ok)?(?:谢谢|感谢|多谢|谢)(?:你|您|大家|啦|了|啊)*(?:的帮助)?"
        r"|辛苦(?:你|您)?了|(?:ok |great |many )?(?:thanks|thank you|thx|ty|cheers)"
        r"(?: you| so much| very much| a lot| again)?"
    ),
    "farewell": r"再见|拜拜|回头见|下次见|(?:good ?)?bye(?: bye)?|see you(?: later| soon)?",
    "abilities": (
        rf"(?:你|您)(?:都|还)?(?:能|会|可以)(?:帮我|为我|替我)?(?:做|干|回答|帮)?{_WHAT}(?:问题|事|忙)?"
        rf"|(?:你|您)是(?:谁|什么|做什么的)|(?:你|您)?有(?:什么|哪些)(?:功能|本领|用处)"
        rf"|(?:怎么|如何|怎样)(?:用|使用)(?:你|它|这个)?|使用(?:说明|方法)|帮助"
        rf"|我(?:能|可以|该)(?:问|做)(?:你)?{_WHAT}(?:问题)?"
        r"|help(?: me)?|what (?:can|do) you do|who are you|what are you|what is this"
        r"|what can i (?:ask|do)(?: you| here)?|how (?:do|can) i use (?:this|it|you)"
        r"|how does (?:this|it) work"
    ),
    "summary": (
        rf"(?:做|给|写)?(?:个|一个|出)?(?:简要|简单|简短)?(?:地)?(?:总结|概括|归纳|概述|摘要|小结|总括)(?:一下|下)?"
        rf"{_THIS}?(?:的)?(?:主要)?(?:内容|大意|要点|重点)?"
        rf"|(?:用一句话|用几句话)(?:总结|概括)(?:一下)?{_THIS}?"
        rf"|(?:{_THIS}(?:主要)?(?:讲|说|写|介绍)|(?:主要)?讲)(?:了|的)?(?:都)?(?:是)?{_WHAT}(?:内容|事)?"
        rf"|{_THIS}?(?:的)?(?:主要|大致|核心|中心)(?:内容|观点|意思|思想|要点)(?:是|有)?{_WHAT}?"
        rf"|summari[sz]e(?: {_THE_ITEM})?(?: for me)?|tl ?dr|(?:the )?(?:main|key) points"
        rf"|(?:give me |write |show )?(?:me )?(?:an? |the )?(?:short |brief |quick )?summary"
        rf"(?: of {_THE_ITEM})?"
        rf"|what (?:is|are) {_THE_ITEM} (?:about|saying)|what does {_THE_ITEM} say"
    ),
    "outline": (
        rf"{_THIS}?(?:里|中)?(?:都)?(?:一共|总共)?(?:有|分|分成|分为|包括|包含)?(?:哪些|哪几|多少|几)(?:个)?"
        r"(?:章节|小节|章|节|小标题|标题)"
        rf"|{_THIS}(?:里|中)?(?:一共|总共)?(?:有|分|分成|分为|包括|包含)(?:哪些|哪几|多少|几)(?:个)?"
        r"(?:部分|段落)"
        rf"|(?:列出|列一下|显示|给出|看看|列)?{_THIS}?(?:的)?(?:所有)?"
        rf"(?:大纲|目录|提纲|结构|章节|小标题)(?:是|有)?{_WHAT}?"
        rf"|(?:what|which|how many) (?:sections|chapters|headings|parts)"
        rf"(?: are there| are in {_THE_ITEM}| (?:does|do) {_THE_ITEM} have)?"
        rf"|(?:show |give )?(?:me )?(?:the |an )?"
        rf"(?:outline|table of contents|toc|contents|structure)"
        rf"(?: of {_THE_ITEM})?|list (?:all )?(?:the )?(?:sections|chapters|headings)"
    ),
    "documents": (
        r"(?:这里|里面|你|库里|现在)?(?:都)?(?:有|收录了)(?:哪些|什么|几篇|多少篇|多少)"
        r"(?:文档|文章|文件|资料|材料)|(?:文档|文章|文件)(?:列表|清单)|列出(?:所有)?(?:文档|文章|文件)"
        r"|(?:what|which|how many) (?:documents|files|articles)"
        r"(?: are there| do you (?:have|know))?"
        r"|list (?:all )?(?:the |your )?(?:documents|files|articles)"
    ),
}
_OF_WHAT_WAS_SAID = re.compile(
    r"它|(?:用|使用)这个|(?:how|what)\b.* (?:it|this|that)\b|^(?:怎么|如何|怎样)(?:用|使用)$|"
    r"^使用(?:说明|方法)$|^有(?:什么|哪些)功能$"
)
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in _KINDS.items()}
_NAMED = re.compile(r"《([^》]{1,100})》")
_POLITE = re.compile(
    r"^(?:请问|请|麻烦(?:你|您)?|帮我|帮忙|给我|(?:你|您)?(?:能不能|能否|可否|可不可以)|(?:我)?想(?:要)?(?:知道|看)?"
    r"|(?:please|could you|can you|would you)(?: please)? )+"
)
_TRAILING = re.compile(r"(?: please| for me|吧|呢|好吗|可以吗|行吗|嘛)$")


def wish_of(text: str, talking: bool = False) -> Wish | None:
    """What is wished for by ``text``; None where it is to be asked of the documents.

    ``talking``: whether something was answered before, so that "How does it work?" is about that.
    """
    named = _NAMED.search(text)
    title = named[1] if named else None
    bare = _bare(fold(_NAMED.sub("文档", text)).lower())
    if talking and _OF_WHAT_WAS_SAID.search(bare):
        return None
    for said in (bare, _POLITE.sub("", bare)):
        for kind, pattern in _PATTERNS.items():
            if pattern.fullmatch(said) or pattern.fullmatch(_TRAILING.sub("", said)):
                return Wish(kind, title)
    return None


def _bare(text: str) -> str:
    """Words only, one space between those of a spaced script."""
    text = text.replace("what's", "what is").replace("who's", "who is")
    text = re.sub(r"[\s,.!?~,。！？、…～:;\-—()]+", " ", text)
    return re.sub(r"(?<![a-z]) | (?![a-z])", "", text).strip()
