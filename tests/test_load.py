from __future__ import annotations

import pytest

from xhqa.errors import InputError
from xhqa.load import decode, document_id, files, load, repair

SIMPLIFIED = "徐汇区在上海市中心城区的西南部，面积五十四平方公里，常住人口一百一十一万。"
TRADITIONAL = "臺灣的首都是臺北市，位於島嶼的北部，人口超過兩百萬，交通十分便利。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SIMPLIFIED, "utf-8"),
        (SIMPLIFIED, "utf-8-sig"),
        (SIMPLIFIED, "utf-16"),
        (SIMPLIFIED, "utf-16-le"),
        (SIMPLIFIED, "utf-16-be"),
        (SIMPLIFIED, "gb18030"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "gb18030"),
        ("宏碁電腦的總部在臺北，這裏是電腦公司。", "cp950"),
        ("香港人鍾意喺茶餐廳飲奶茶，好多人都係咁。", "big5hkscs"),
        ("数据如下：│├──┤ 第一行与第二行。", "gb18030"),
        (TRADITIONAL, "utf-8"),
        ("GDP 增长 5.3%，ABC 公司", "gb18030"),
        ("Plain English.\r\nTwo lines.", "ascii"),
        ("Plain English\r\nTwo lines", "utf-16-le"),
        ("It’s old, and doesn’t move.", "cp1252"),
        ("Müllheim", "cp1252"),
        ("“Quoted,” he said — at 25°C… for £5, or 3 µm of it.", "cp1252"),
        ("He chose crème brûlée in a café in Évry; the Größe is ½ m.\n", "cp1252"),
        # What Windows-1252 could hold as well, were it likely.
        ("GDP of 上海", "gb18030"),
        ("Zhu Rongji (朱镕基), born in 1928", "gb18030"),
        ("About Taiwan 臺灣 and its people", "big5"),
        ("About Taiwan 臺灣 and its people", "gb18030"),
        ("The population 人口 of the town", "big5"),
        ("We meet at 8 點 in the hall", "big5"),
        ("The so-called “徐汇” district", "gb18030"),
    ],
)
def test_decodes(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding), "a.txt") == text


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x02\x00",
        b"%PDF-1.7\n\x00\x01\x02\xff\xfe\x80\x81",
        bytes(range(256)) * 8,
        b"",
        b" \n\t\n",
        b"\xff\xfeA",
    ],
)
def test_refuses_what_is_no_text_by_name(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^photo\.txt"):
        decode(data, "photo.txt")


def test_text_is_untouched() -> None:
    text = "\r\n标题\r\n\r\n  全方位 跃升\t。\u3000\n"
    assert load(text.encode("utf-8-sig"), "a.txt").text == text


def test_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"^report\.xyz: cannot read \.xyz files"):
        load(b"text", "report.xyz")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("xuhui-five-years.txt", "xuhui-five-years"),
        ("年报/2024 徐汇.md", "年报-2024-徐汇"),
        ("a.b.txt", "a-b"),
        (".txt", "txt"),
    ],
)
def test_document_id(name: str, expected: str) -> None:
    assert document_id(name) == expected


def test_long_names_that_differ_at_the_end_keep_different_ids() -> None:
    one, two = document_id("长" * 100 + "甲.txt"), document_id("长" * 100 + "乙.txt")
    assert one != two
    assert len(one) <= 80


def test_titles() -> None:
    assert load("# 年报\n\n正文。".encode(), "a.md").title == "年报"
    assert load("\n\n大时代\n\n正文。".encode(), "a.txt").title == "大时代"
    assert load(b"---\ntitle: x\n---\n# Real\n\nText.", "a.md").title == "Real"
    assert load(("很长的一句话，" * 20 + "。").encode(), "年报.txt").title == "年报"


def test_files_below_a_folder(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for name in ("b/二.txt", "a.md", ".hidden/x.txt", "skip.bin"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert [name for _, name in files([tmp_path])] == ["a.md", "b/二.txt"]
    with pytest.raises(InputError, match="does not exist"):
        list(files([tmp_path / "none"]))


def repaired(text: str, name: str = "a.txt") -> str:
    return repair(load(text.encode(), name)).text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # A page break in the middle of a sentence, and in the middle of a word.
        (
            "早在“十三五”末，就引入由图灵奖得主、清华大学交叉\n\n\n\n\n信息研究院院长领衔的机构。",
            "早在“十三五”末，就引入由图灵奖得主、清华大学交叉信息研究院院长领衔的机构。",
        ),
        ("将成果转化为民生服\n\n务的具体实践。", "将成果转化为民生服务的具体实践。"),
        # A heading stays alone, and so does what ends a sentence.
        (
            "第一段到此结束。\n\n“核爆点”\n\n2023年夏天之前,还是毛坯房。",
            "第一段到此结束。\n\n“核爆点”\n\n2023年夏天之前,还是毛坯房。",
        ),
        # Spaces between Han characters go; those beside Latin letters stay.
        (
            "撬动全方位 跃升, AI 产品 40 台\u3000徐 汇。",
            "撬动全方位跃升, AI 产品 40 台徐汇。",
        ),
        ("ＧＤＰ突破４０００亿元", "GDP突破4000亿元"),
        ("臺灣的發展", "台湾的发展"),
        ("零\u200b宽\ufeff字符。", "零宽字符。"),
        ("A  tab\tand   spaces.", "A tab and spaces."),
        # English: a hyphen at a line's end, and lines wrapped by hand.
        (
            "The inter-\nnational committee met in the old hall on the hill\n"
            "and talked for many hours about the state of all the rivers\n"
            "before it went home again to sleep through the whole winter\n"
            "and to come back.",
            "The international committee met in the old hall on the hill and talked for many hours "
            "about the state of all the rivers before it went home again to sleep through the whole "
            "winter and to come back.",
        ),
        ("购物清单\n苹果\n香蕉\n梨", "购物清单\n苹果\n香蕉\n梨"),
        (
            "2021年,徐汇区,755家,64个\n2022年,徐汇区,756家,65个\n" * 3,
            ("2021年,徐汇区,755家,64个\n2022年,徐汇区,756家,65个\n" * 3).strip(),
        ),
    ],
)
def test_repair(source: str, expected: str) -> None:
    assert repaired(source) == expected


def test_repair_keeps_markdown_blocks_apart() -> None:
    assert repaired("- 甲类项目\n- 乙类项目\n\n后文是段落。", "a.md").endswith("\n\n后文是段落。")
    source = "# 题\n## 节\n- 甲\n- 乙\n\n| 列 | 值 |\n|---|---|\n| a | b |\n"
    assert (
        repaired(source, "a.md") == "# 题\n## 节\n- 甲\n- 乙\n\n| 列 | 值 |\n|---|---|\n| a | b |"
    )


def test_every_character_leads_back() -> None:
    document = load("全方位 跃升ＡＢ\r\n\r\n“小确幸”\r\n\r\n臺灣。".encode(), "a.txt")
    view = repair(document)
    assert len(view.origin) == len(view.text)
    at = view.text.index("跃升AB")
    start, end = view.to_source(at, at + 4)
    assert document.text[start:end] == "跃升ＡＢ"
    at = view.text.index("方位跃")
    start, end = view.to_source(at, at + 3)
    assert document.text[start:end] == "方位 跃"
