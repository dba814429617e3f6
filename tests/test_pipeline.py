from __future__ import annotations

import errno
import gc
import hashlib
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support import HashEncoder, only

from xhqa.config import Settings
from xhqa.dictionary import Dictionary
from xhqa.errors import InputError, NotFoundError, StorageFullError
from xhqa.index import build, open_index
from xhqa.pipeline import Pipeline
from xhqa.read.sentence import SentenceReader
from xhqa.types import Chunk, Hit, Span, Turn

MakePipeline = Callable[[dict[str, str | bytes]], Pipeline]

ARTICLE_SHA256 = "6fc373f1e0974f34bc8fbcefcc774545f459d54c335b20daebe231b9dfb665e4"

TOWNS: dict[str, str | bytes] = {
    "甲.txt": "甲镇\n\n甲镇有三十座桥，都很古老。甲镇的人口是五千。\n\n河流\n\n大河从甲镇中间流过。",
    "乙.txt": "乙村种植水稻和小麦。乙村的学校建于1952年。",
}


def test_finds_the_sentence_and_says_where_it_stands(make_pipeline: MakePipeline) -> None:
    answer = make_pipeline(TOWNS).ask("  乙村的学校是哪年建的？ ")
    assert answer.question == "乙村的学校是哪年建的？"
    assert answer.standalone_question == answer.question
    assert answer.text == "乙村的学校建于1952年。"
    citation = answer.citations[0]
    assert (citation.document_id, citation.start_char_index, citation.end_char_index) == (
        "乙",
        10,
        23,
    )
    assert answer.passages[0].document_id == "乙"
    assert answer.passages[0].score >= answer.passages[1].score
    assert set(answer.timings_ms) == {"retrieve", "read", "total"}
    assert answer.timings_ms["total"] >= answer.timings_ms["read"]


def test_top_k_and_document_ids_limit_what_is_read(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline(TOWNS)
    assert len(pipeline.ask("学校", top_k=1).passages) == 1
    answer = pipeline.ask("乙村的学校是哪年建的？", document_ids=["甲"])
    assert {p.document_id for p in answer.passages} == {"甲"}
    assert pipeline.ask("学校", document_ids=[]).refusal_reason == "no_evidence"
    with pytest.raises(NotFoundError, match="丙"):
        pipeline.ask("学校", document_ids=["丙"])


def test_a_follow_up_is_completed_from_history(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline(TOWNS)
    history = [Turn("乙村种植什么？", "水稻和小麦")]
    answer = pipeline.ask("它的学校建于哪年？", history)
    assert answer.question == "它的学校建于哪年？"
    assert "乙村" in answer.standalone_question
    assert answer.text == "乙村的学校建于1952年。"


def test_a_completed_question_stands_unless_it_is_far_better_as_it_is(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_pipeline(TOWNS)
    forgetful = made._settings.model_copy(update={"kept_answers": 0})
    pipeline = Pipeline(made._state.index, made._encoder, forgetful)
    history = [Turn("乙村种植什么？", "水稻和小麦")]
    given: dict[str, float] = {}
    asked: list[str] = []

    class Fixed:
        threshold = 0.0

        def probability(self, question: str, *rest: object) -> float:
            asked.append(question)
            return given["completed"] if "乙村" in question else given["bare"]

    monkeypatch.setattr("xhqa.pipeline.calibration_of", lambda *of: Fixed())
    for bare, understood in ((0.79, "乙村"), (0.81, "多少人")):
        given.update(completed=0.4, bare=bare)
        answer = pipeline.ask("多少人？", history)
        assert answer.standalone_question.startswith(understood)
        assert answer.confidence == (bare if understood == "多少人" else 0.4)
        assert "多少人？" in asked
    # No probability is twice as high as this one: the bare question is not read for.
    given.update(completed=0.5)
    asked.clear()
    assert pipeline.ask("多少人？", history).confidence == 0.5
    assert asked
    assert "多少人？" not in asked


def test_an_empty_index_says_so(tmp_path: Path, encoder: HashEncoder) -> None:
    index = build(tmp_path / "index", only([]), encoder)
    pipeline = Pipeline(index, encoder, Settings(index_dir=tmp_path / "index"))
    answer = pipeline.ask("有人吗？")
    assert answer.refusal_reason == "empty_index"
    assert answer.confidence == 0.0
    assert pipeline.documents() == ()


def test_the_threshold_is_a_setting(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    pipeline = make_pipeline(TOWNS)
    strict = Settings(index_dir=pipeline._settings.index_dir, min_confidence=1.0)
    refused = Pipeline(pipeline._state.index, pipeline._encoder, strict).ask("乙村的学校？")
    assert refused.text is None
    assert len(refused.nearest) == 3
    assert pipeline.ask("乙村的学校？").text is not None


def test_documents_come_and_go(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline(TOWNS)
    info = pipeline.add("丙.md", "# 丙城\n丙城有一座钟楼。".encode())
    assert (info.id, info.title, info.media_type, info.chunks) == ("丙", "丙城", "text/markdown", 1)
    answer = pipeline.ask("丙城有一座什么楼？")
    assert answer.text == "丙城有一座钟楼。"
    assert answer.passages[0].found_by == ("dense", "lexical")
    replaced = pipeline.add("丙.md", "# 丙城\n丙城有两座塔。".encode())
    assert replaced.sha256 != info.sha256
    assert pipeline.ask("丙城有两座什么？").text == "丙城有两座塔。"
    pipeline.remove("丙")
    assert all(p.document_id != "丙" for p in pipeline.ask("丙城有什么？").passages)
    with pytest.raises(NotFoundError):
        pipeline.remove("丙")
    with pytest.raises(InputError, match=r"^x\.txt"):
        pipeline.add("x.txt", b"\x00\xff\x00")
    assert [d.id for d in pipeline.documents()] == ["乙", "甲"]


def test_questions_are_answered_while_documents_come_and_go(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline(TOWNS)
    wrong: list[str | None] = []
    done = threading.Event()

    def asking() -> None:
        while not done.is_set():
            text = pipeline.ask("乙村的学校是哪年建的？").text
            if text != "乙村的学校建于1952年。":
                wrong.append(text)
            # Kept answers come so fast that the changes would wait for the interpreter.
            time.sleep(0.001)

    threads = [threading.Thread(target=asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(5):
        pipeline.add(f"n{number}.txt", f"第{number}个文件。".encode())
        pipeline.remove(f"n{number}")
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_article_and_its_damage(make_pipeline: MakePipeline, article_bytes: bytes) -> None:
    pipeline = make_pipeline({"xuhui-five-years.txt": article_bytes})
    text = pipeline.document("xuhui-five-years").text
    assert text == article_bytes.decode("utf-8")
    assert {p.section_path for p in pipeline.ask("徐汇", top_k=50).passages} == {
        (),
        ("核爆点",),
        ("世界级",),
        ("小确幸",),
    }
    answer = pipeline.ask("清华大学交叉信息研究院院长是谁？")
    assert answer.text is not None
    assert "清华大学交叉信息研究院院长姚期智" in answer.text
    assert "交叉\n" in answer.citations[0].cited_text


def test_the_corpus_is_as_it_was_given(article_bytes: bytes) -> None:
    assert hashlib.sha256(article_bytes).hexdigest() == ARTICLE_SHA256


def test_files_that_differ_in_their_ending_do_not_replace_each_other(
    make_pipeline: MakePipeline,
) -> None:
    pipeline = make_pipeline(TOWNS)
    plain = pipeline.add("报告.txt", "丁镇有九座桥。".encode())
    marked = pipeline.add("报告.md", "# 报告\n戊镇有八座桥。".encode())
    assert plain.id != marked.id
    assert "九座桥" in pipeline.document(plain.id).text
    again = pipeline.add("报告.md", "# 报告\n戊镇有七座桥。".encode())
    assert again.id == marked.id
    assert "七座桥" in pipeline.document(marked.id).text
    assert len(pipeline.documents()) == 4
    # It is known by its name also where the other one is gone.
    pipeline.remove(plain.id)
    once_more = pipeline.add("报告.md", "# 报告\n戊镇有六座桥。".encode())
    assert once_more.id == marked.id
    assert "六座桥" in pipeline.document(marked.id).text
    assert len(pipeline.documents()) == 3


def test_a_full_disk_is_said_and_changes_nothing(
    make_pipeline: MakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline(TOWNS)
    before = pipeline.documents()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StorageFullError, match="free some space"):
            pipeline.add("丙.txt", "丙城有一座钟楼。".encode())
    assert pipeline.documents() == before
    assert pipeline.progress is None
    assert list((tmp_path / "index" / "generations").glob(".building-*")) == []
    assert pipeline.add("丙.txt", "丙城有一座钟楼。".encode()).id == "丙"


class Preparing(SentenceReader):
    """Notes what it is told to prepare, and does something besides."""

    def __init__(self, besides: Callable[[], None] = lambda: None) -> None:
        self.prepared: list[str] = []
        self._besides = besides

    def prepare(self, chunk: Chunk) -> None:
        self.prepared.append(chunk.id)
        self._besides()

    def alone(self, question: str, spans: Sequence[Span]) -> list[float]:
        return [0.0] * len(spans)


def test_all_passages_are_prepared_where_there_is_room_for_all(
    make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_pipeline({"a.txt": "甲镇有三十座桥。", "b.txt": "乙村种水稻。"})
    reader = Preparing()
    pipeline = Pipeline(made._state.index, HashEncoder(), made._settings, reader)
    pipeline.prepare()
    assert reader.prepared == ["a#0", "b#0"]
    monkeypatch.setattr("xhqa.pipeline.KEPT", 1)
    pipeline.prepare()
    assert len(reader.prepared) == 2


def test_preparing_ends_where_the_index_is_another(make_pipeline: MakePipeline) -> None:
    made = make_pipeline({"a.txt": "甲镇有三十座桥。", "b.txt": "乙村种水稻。"})
    reader = Preparing(lambda: pipeline.remove("a"))
    pipeline = Pipeline(made._state.index, HashEncoder(), made._settings, reader)
    pipeline.prepare()
    assert reader.prepared == ["a#0"]


def test_warming_up_reads_what_a_chinese_question_needs(
    make_pipeline: MakePipeline, encoder: HashEncoder, settings: Settings
) -> None:
    loaded: list[str] = []

    def words(name: str) -> Callable[[], list[str]]:
        def load() -> list[str]:
            loaded.append(name)
            return []

        return load

    index = make_pipeline(TOWNS)._state.index
    dictionary = Dictionary(dict, words("common"), words("names"))
    pipeline = Pipeline(index, encoder, settings, translator=dictionary)
    pipeline.warm_up()
    assert loaded == ["common", "names"]
    pipeline.ask("上海的学校是哪年建的？")
    assert loaded == ["common", "names"]


def test_a_completed_question_is_not_answered_with_what_was_said(
    make_pipeline: MakePipeline, encoder: HashEncoder, settings: Settings
) -> None:
    class Numbers:
        name = "span"

        def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
            return [
                Span(hit.chunk, at, at + 2, score, null_margin=score)
                for hit in hits
                for words, score in (("三十", 22.0), ("五千", 7.0))
                if (at := hit.chunk.text.find(words)) >= 0
            ]

        def prepare(self, chunk: Chunk) -> None: ...

    pipeline = make_pipeline(TOWNS)
    said = [Turn("甲镇的桥有多少座？", "三十")]
    spans = Pipeline(pipeline._state.index, encoder, settings, Numbers())
    assert spans.ask("甲镇的桥有多少座？").text == "三十"
    assert spans.ask("甲镇的桥有多少座？", said).text == "三十"
    assert spans.ask("它的人口是多少？", said).text == "五千"
    # Of whole sentences one may answer twice.
    sentence = "甲镇有三十座桥，都很古老。"
    said = [Turn("甲镇的桥有多少座？", sentence)]
    assert pipeline.ask("它的桥古老吗？", said).text == sentence


class Counting(Preparing):
    """A reader that notes what it is asked."""

    pipeline: Pipeline

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        self.asked.append(question)
        return [Span(hit.chunk, 0, 2, 9.0, null_margin=9.0) for hit in hits]


def test_who_asks_again_gets_the_same_answer_at_once(make_pipeline: MakePipeline) -> None:
    made, reader = make_pipeline(TOWNS), Counting()
    pipeline = Pipeline(made._state.index, HashEncoder(), made._settings, reader)
    first = pipeline.ask("甲镇有几座桥？")
    asked = len(reader.asked)
    again = pipeline.ask(" 甲镇有几座桥？ ", [], 5)
    assert len(reader.asked) == asked
    assert (again.timings_ms["retrieve"], again.timings_ms["read"]) == (0.0, 0.0)
    assert 0 < again.timings_ms["total"] < first.timings_ms["total"]
    assert replace(again, timings_ms=first.timings_ms) == first
    # Whatever else is asked differently is another question, and so is one of another index.
    for number, more in enumerate(
        [{"top_k": 1}, {"document_ids": ["甲"]}, {"history": [Turn("谁？", None)]}], 1
    ):
        pipeline.ask("甲镇有几座桥？", **more)
        assert len(reader.asked) > asked, number
        asked = len(reader.asked)
    pipeline.remove("乙")
    assert {p.document_id for p in pipeline.ask("甲镇有几座桥？").passages} == {"甲"}
    # None are kept where the settings or a shared index say so.
    for other in ({"kept_answers": 0}, {"store": "milvus", "milvus_uri": "here.db"}):
        reader = Counting()
        forgetful = made._settings.model_copy(update=other)
        pipeline = Pipeline(made._state.index, HashEncoder(), forgetful, reader)
        pipeline.ask("甲镇有几座桥？")
        asked = len(reader.asked)
        pipeline.ask("甲镇有几座桥？")
        assert len(reader.asked) == 2 * asked


class Changing(Counting):
    """Takes a document away while it reads."""

    def read(self, question: str, hits: Sequence[Hit]) -> list[Span]:
        if self.pipeline.document_count == len(TOWNS):
            self.pipeline.remove("乙")
        return super().read(question, hits)


@pytest.mark.parametrize("kind", [Counting, Changing])
def test_an_index_that_was_changed_is_given_back(
    make_pipeline: MakePipeline, encoder: HashEncoder, settings: Settings, kind: type[Counting]
) -> None:
    make_pipeline(TOWNS)
    reader = kind()
    pipeline = Pipeline(open_index(settings.index_dir, encoder), encoder, settings, reader)
    reader.pipeline = pipeline
    before = weakref.ref(pipeline._state.index)
    # Of what was there at the start the collector sees nothing, as here of all.
    gc.disable()
    try:
        pipeline.ask("甲镇有几座桥？")
        pipeline.add("丙.txt", "丙城有一座钟楼。".encode())
        assert before() is None
    finally:
        gc.enable()
