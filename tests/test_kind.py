from __future__ import annotations

import time

import pytest

from xhqa.kind import holds_kind, misses_kind


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("哪一年建成？", "建于1952年。", True),
        ("哪一年建成？", "有43台。", False),
        ("有多少台？", "有43台。", True),
        ("How many lifts?", "有43台。", True),
        ("When was it built?", "建于1952年。", True),
        ("多少人？", "没有数字。", False),
        ("谁来了？", "43人来了。", False),
    ],
)
def test_holds_kind(question: str, text: str, expected: bool) -> None:
    assert holds_kind(question, text) is expected


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("加装电梯花了多少钱？", "1330台", True),
        ("加装电梯花了多少钱？", "4.5亿元", False),
        # No unit where a longer word begins: 分公司, 成本, 年轻人.
        ("有多少分公司？", "12家", False),
        ("需要多少成本？", "200万元", False),
        ("有多少人参加？", "3万年轻人", False),
        ("用了多少平方米？", "5台", True),
        ("有多少人参加？", "2020年底", True),
        ("多久开一次会？", "每月一次", False),
        # A date is no duration.
        ("工程用了多长时间？", "2024年", True),
        ("工程用了多长时间？", "2024年3月5日", True),
        ("工程用了多长时间？", "145年", False),
        ("工程用了多长时间？", "3个月", False),
        ("多久以前建成？", "2024年", False),
        ("How long did it take?", "2024年", True),
        # What it is counted in may be left out.
        ("全程收费多少元？", "4.9", False),
        ("物业费每平方米收多少钱？", "75%", True),
        ("有多少名科研人员？", "由院长领衔", True),
        ("有多少名科研人员？", "三百余人", False),
        ("涉及多少户居民？", "9877户", False),
        # Households are counted by their own word; all else may be counted otherwise.
        ("涉及多少户居民？", "40个", True),
        ("涉及多少户居民？", "40个家庭", False),
        ("集聚了多少户企业？", "500余家", False),
        ("山后村住着几户？", "三十家", False),
        ("村里住着多少人？", "400户", False),
        ("How many households?", "40个", True),
        ("How many families?", "40户", False),
        ("可以供几个玩家操作？", "四名", False),
        ("办学时有多少人？", "181位学生", False),
        ("有几个家庭？", "9877户", False),
        # Things and people are not named by a number.
        ("供应商具体是哪几家公司？", "九大", True),
        ("供应商具体是哪几家公司？", "甲乙丙", False),
        ("谁来了？", "50余", True),
        # But digits may be what something is called.
        ("客户可拨打哪个热线？", "95588", False),
        ("哪个项目最大？", "3.5万个", True),
        ("在哪个五年规划时期？", "十四五", False),
        ("哪个版本好用？", "17.0", False),
        ("哪一个世纪？", "19", False),
        ("哪一年，谁建成了它？", "1952", False),
        ("工程花了几个月？", "3个月", False),
        ("工程花了几个月？", "43个", True),
        ("年满多少岁？", "年满18周岁", False),
        ("增长了百分之几？", "5亿元", True),
        ("增长了百分之几？", "百分之五", False),
        ("超过多少百分比的学生？", "10%", False),
        ("排第几位？", "4000亿元", True),
        ("排第几位？", "首位", False),
        ("在全国排第几？", "4000亿元", True),
        ("在全国排第几？", "第一", False),
        ("在全国排第几？", "2位", False),
        # Words of order, and a part of the whole, are of no kind.
        ("一共花了多少钱？", "首期4000万", False),
        ("一共花了多少钱？", "3个亿", False),
        ("一共花了多少钱？", "用了两个多月，花了3个亿", False),
        ("一共花了多少钱？", "3万台", True),
        ("一共花了多少钱？", "全部免费", False),
        ("修路用了多久？", "两个多月", False),
        ("用了多少天？", "两个多小时", False),
        ("有多少居民同意？", "绝大多数", False),
        ("有多少居民同意？", "都很高兴", True),
        ("How often did it happen, how many times?", "once", False),
        # 块 is money before 钱 and at an end alone.
        ("集群用了多少块显卡？", "10万张", False),
        ("一张票多少块？", "10万张", True),
        ("它的编号是多少？", "KK", False),
        ("旧改何时高比例签约？", "2024年", False),
        ("说出几家研发机构", "期智研究院", False),
        ("有多少人得了病？", "三分之二的人口", False),
        ("他是第几个儿子？", "次子", False),
        ("改造用了多久？", "43台", True),
        ("改造用了多久？", "万余平方米", True),
        ("改造用了多久？", "一个半赛季", False),
        ("会员卡的有效期是多久？", "永久有效", False),
        ("皮带多久换一次？", "6万至10万公里", False),
        ("占全市多大比例？", "64个", True),
        ("占全市多大比例？", "61%", False),
        ("占全市多大比例？", "一半", False),
        ("占全市多大比例？", "三分之一至二分之一", False),
        ("What share of them are registered?", "64个备案大模型", True),
        ("How long did it take?", "43台", True),
        ("How long is it?", "64 km", False),
        ("体验店有多大？", "120 款", 0.5),
        ("体验店有多大？", "500平方米", False),
        ("How big is the store?", "120 款", 0.5),
        ("有多少人支持？", "52%", 0.5),
        ("多少户居民同意？", "98%", 0.5),
        ("多少钱一台？", "52%", True),
        ("默认值是多少？", "true", False),
        ("车牌是多少？", "沪甲", False),
        ("产值是多少？", "很高", True),
        ("规模有多大？", "3000名员工", False),
        ("总产出有多大？", "千亿级", False),
        ("小猫多大断奶？", "三个月", False),
        ("科罗拉多大学有几座楼？", "43座", False),
        ("How long did he live?", "80岁", False),
        ("它在几月份诞生？", "2023年", True),
        ("它在几月份诞生？", "当年8月", False),
        ("它建成于哪一年？", "8月", True),
        ("它建成于哪一年？", "43台", True),
        ("它建成于哪一年？", "“十三五”末", False),
        ("它建成于哪一年？", "明代", False),
        ("它建成于哪一年？", "次子", True),
        ("它在几月份诞生？", "2023-08", False),
        ("它建成于哪一年？", "1952", False),
        ("Which year was it built?", "8月", True),
        # Not after the year alone, or after none.
        ("哪一年，谁建成了它？", "张三", False),
        ("他读哪一年级？", "初三", False),
        ("这几年他在做什么？", "造桥", False),
        ("這幾年他造的東西稱為？", "土製裝甲", False),
        # Several numbers, one of which fits.
        ("有多少台电梯？", "两年内1330台", False),
        # Not after a number, whatever stands in them.
        ("包括哪几个部分？", "站房和天桥", False),
        ("几位科学家用什么发现了它？", "望远镜", False),
        ("谁来了？", "三个人", False),
        ("How many years did it take?", "43个", True),
        ("How do I apply for a card?", "超过10万张卡", True),
        ("How to apply for a card", "拨打12345", False),
        ("How can one ask for help?", "12345", False),
        ("How did the price change?", "5%", False),
        ("How many people came?", "twenty", False),
        ("How many people came?", "nobody knows", True),
        ("How much money was spent?", "$ 40 million", False),
        ("How much money was spent?", "40 percent", True),
    ],
)
def test_an_answer_of_another_kind_is_told(question: str, answer: str, expected: float) -> None:
    assert misses_kind(question, answer) == expected


def test_a_long_number_is_gone_through_once() -> None:
    began = time.perf_counter()
    for answer in ("万" * 20000, "1" * 20000, "12," * 7000, " " * 20000):
        misses_kind("有多少家企业？", answer)
    assert time.perf_counter() - began < 2
