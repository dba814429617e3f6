from xhqa.dictionary import Dictionary, packed
from xhqa.read.hints import Hints

CHINESE = {
    "bank": {"银行": 1.0, "河岸": 1.0, "岸": 1.0},
    "unit": {"单元": 1.0, "美国": 0.5},
    "state": {"国家": 1.0, "美国": 0.5},
    "dragon": {"龙": 1.0},
    "green": {"绿色": 0.25},
    "compani": {"公司": 1.0, "有限公司": 1.0},
}
DICTIONARY = Dictionary(
    lambda: packed(CHINESE),
    load_pinyin=lambda: {"xuhui": "xu hui"},
    load_readings=lambda: {"xu": "徐许", "hui": "汇会"},
)


def before(question: str, text: str) -> str:
    return Hints(question, DICTIONARY).before(text)


def test_the_passage_tells_which_translation_is_meant() -> None:
    question = "Which bank is the oldest?"
    assert before(question, "河岸的龙。") == f"河岸 {question}"
    assert before(question, "第一家银行。") == f"银行 {question}"
    assert before(question, "岸上的人。") == question


def test_hints_stand_once_each_in_the_order_of_the_words() -> None:
    question = "Which company of the United States has a bank?"
    text = "美国有一家有限公司，一家银行。"
    assert before(question, text) == f"有限公司 美国 银行 {question}"
    # More trusted than 美国, the whole of it being one sense of the word.
    assert before(question, text + "国家。") == f"有限公司 美国 国家 银行 {question}"


def test_single_characters_and_parts_of_long_senses_are_no_hints() -> None:
    assert before("Where is the green dragon?", "绿色的龙。") == "Where is the green dragon?"


def test_chinese_words_in_an_english_question_are_not_said_twice() -> None:
    assert before("Is 银行 the only bank?", "银行。") == "银行 Is 银行 the only bank?"
    assert before("What is 有限公司 here?", "有限公司。") == "What is 有限公司 here?"


def test_a_name_in_pinyin_is_hinted_at_as_it_is_written() -> None:
    assert before("How big is Xuhui?", "许会和徐汇。") == "许会 How big is Xuhui?"
    assert before("How big is Xuhui?", "徐汇有多大。") == "徐汇 How big is Xuhui?"


def test_chinese_questions_stay_as_they_are() -> None:
    hints = Hints("bank的公司是哪家？", DICTIONARY)
    assert not hints
    assert hints.before("银行和公司。") == "bank的公司是哪家？"
    assert not Hints("Who?", DICTIONARY)
    assert Hints("Which bank?", DICTIONARY)
    assert Hints("Xuhui?", DICTIONARY)
