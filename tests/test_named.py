from __future__ import annotations

import pytest

from xhqa.dictionary import Dictionary, packed, stem
from xhqa.named import Lacking, lacking

NONE, SOME, DEFINITE = Lacking(False, False), Lacking(True, False), Lacking(True, True)
GAZETTEER = Dictionary(
    lambda: packed({stem("minhang"): {"敏航桥": 1.0}}),
    lambda: ["西区"],
    lambda: ["上海"],
    lambda: {"minhang": "min hang", "jing'an": "jing an"},
    lambda: {"min": "民闵", "hang": "行航", "jing": "静靖", "an": "安"},
)


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("有几座桥？", "", NONE),
        ("上海有几座桥？", "北京有三座桥", SOME),
        ("上海有几座桥？", "上海有三座桥", NONE),
        ("GDP是多少？", "gdp是4000亿元", NONE),
        ("AI Tower有多高？", "ai塔", SOME),
        # What the tagger takes for a place is none; one that says what it is, is definite.
        ("惠及多少个小区？", "有400个小区", NONE),
        ("西区有多少个小区？", "有400个小区", NONE),
        ("静安区有多少台电梯？", "徐汇区有1330台", DEFINITE),
        ("靜安區有多少台電梯？", "静安区有1330台", NONE),
        ("静安区有多少台电梯？", "静安有1330台", NONE),
        # The tagger takes it for a person.
        ("杨浦区有多少台电梯？", "静安有1330台", DEFINITE),
        ("浦东新区有多少台电梯？", "浦东有1330台", NONE),
        ("浦东新区有多少台电梯？", "徐汇有1330台", DEFINITE),
        # Numbers, with or without commas and in numerals.
        ("2019年的产值是多少？", "2018年是5亿", DEFINITE),
        ("3.5%是什么的比例？", "其中3.5%是老人", NONE),
        ("1000座桥在哪里？", "有1,000座桥", NONE),
        ("6号楼在哪里？", "六号楼在这里", NONE),
        ("24号楼在哪里？", "二十四号楼", NONE),
        ("10号楼在哪里？", "十号楼", NONE),
        ("2座桥在哪里？", "那里有两座桥", NONE),
        ("60号楼在哪里？", "六十号楼", NONE),
        ("60号楼在哪里？", "六号楼", DEFINITE),
        ("3号楼有多少户？", "13号楼有40户", DEFINITE),
        ("超过100000张卡在哪里？", "10万张卡在这里", NONE),
        ("1970年代的厂长是谁？", "上世纪七十年代的厂长", NONE),
        ("08年的产值是多少？", "2008年是5亿", NONE),
        ("98年的产值是多少？", "1998年是5亿", NONE),
        ("08年的产值是多少？", "2018年是5亿", DEFINITE),
        ("下午3点有什么活动？", "15:00放映", NONE),
        ("上午3点有什么活动？", "15:00放映", DEFINITE),
        ("15点还开门吗？", "下午3点开门", NONE),
        ("9:00开门吗？", "早上9点开门", NONE),
        # What is the asker's own.
        ("列出3座桥", "甲桥、乙桥", SOME),
        ("请用100字介绍桥", "甲桥、乙桥", SOME),
        ("我65岁，买什么票？", "60岁以上买老年票", SOME),
        ("身高1.3米的儿童买什么票？", "1.2米至1.5米的儿童买半票", SOME),
        # A text that speaks of this year may mean any; what is put in brackets only explains.
        ("2025年建了几座？", "今年建了三座", SOME),
        ("2025座桥在哪里？", "今年建了三座", DEFINITE),
        ("“十四五”期间（2021-2025年）建了几座？", "“十四五”期间建了40座", SOME),
        # What a place is in may be left out, and all of what kind it is.
        ("上海市徐汇区有几座桥？", "徐汇有三座桥", SOME),
        ("苏州市吴江区有几座桥？", "吴江区有三座桥", SOME),
        ("上海市的徐汇区有几座桥？", "徐汇区有三座桥", SOME),
        ("西藏自治区首府是哪里？", "西藏的首府是拉萨", NONE),
        ("香港特别行政区首长是谁？", "香港的首长", NONE),
        # Quotations, whatever their signs and gaps.
        ("“十三五”期间建了几座？", "“十四五”期间建了40座", DEFINITE),
        ("「生活盒子」有几个？", "建成40个“生活 盒子”", NONE),
        ('"模速空间"在哪里？', "张江", DEFINITE),
        ("《红楼梦》的作者是谁？", "西游记", DEFINITE),
        ("“AI+养老”是什么？", "AI + 养老 体验店", NONE),
        # Of other questions only what is written the same way in Chinese is looked for.
        ("How many lifts are there in London?", "上海", NONE),
        ("How many were built in 2019?", "2018年建了5座", SOME),
        ("How many firms are there in Minhang District?", "徐汇有500家", DEFINITE),
        ("How many firms are there in Minhang District?", "闵行区有500家", NONE),
        ("How many firms are there in Minhang?", "Minhang has 500", NONE),
        ("How many firms are there in Minhang?", "敏航桥有500家", NONE),
        ("How many live in 15 million flats?", "1500万", NONE),
        # In a question of both scripts the words it is asked in are no names.
        ("AI Tower在哪里？", "AI Tower", NONE),
        ("Who leads 期智研究院 and what does it do?", "期智研究院", NONE),
        ("What is Jing’an's GDP?", "静 安", NONE),
        # Read the same, if not the name that the dictionary has.
        ("What is Jing'an's GDP?", "靖安", NONE),
        ("What is Jing'an's GDP?", "徐汇", DEFINITE),
        ("How large is the Wannan village (宛南六村)?", "宛南四村", DEFINITE),
        ("How large is the Wannan village (宛南六村)?", "宛南六村", NONE),
    ],
)
def test_what_a_question_names_is_looked_for(question: str, text: str, expected: Lacking) -> None:
    assert lacking(question, text, GAZETTEER) == expected
