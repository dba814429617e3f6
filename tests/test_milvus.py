"""The same behind a Milvus (Milvus Lite, a local path) as in a folder."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import HashEncoder, only

from xhqa.config import Settings
from xhqa.errors import IndexDamagedError, InputError, NotFoundError, StoreError, XhqaError
from xhqa.index import Change, Entry, Generation, Index, build, corpus_of
from xhqa.index.milvus import _connected
from xhqa.index.milvus_index import Headers
from xhqa.index.milvus_rows import joined, parts, words_field
from xhqa.ingest import build_index
from xhqa.load import load
from xhqa.pipeline import Pipeline
from xhqa.retrieve import retrieve

TEXTS = {
    "甲": "# 甲镇\n\n甲镇有三十座桥，都很古老。\n\n## 河流\n\n一条大河从甲镇中间流过。大河很宽。",
    "乙": "乙村种植水稻和小麦，今年收成很好。乙村有两座桥。",
    "丙": "The river Thames flows through London. London has many bridges.",
    "丁": "丁城的图书馆周一闭馆，周末开放到晚上九点。",
    "戊": "戊县的人口是五十万，其中一半住在县城里。",
}
QUESTIONS = ("甲镇有几座桥？", "图书馆周一开放吗？", "Where does the Thames flow?", "人口是多少？")
# Longer than a field of the engine holds.
LONG = "".join(map(chr, np.random.default_rng(0).integers(0x4E00, 0x9FA5, 40_000)))


def entries(*names: str) -> list[Entry]:
    return [Entry(load(TEXTS[name].encode(), f"{name}.md")) for name in names]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    uri = str(tmp_path / "milvus.db")
    yield Settings(store="milvus", milvus_uri=uri, index_dir=tmp_path / "index", min_confidence=0.0)
    _connected(uri, "").close()
    _connected.cache_clear()


@pytest.fixture
def index(settings: Settings, encoder: HashEncoder) -> Index:
    return corpus_of(settings).change(only(entries(*TEXTS)), encoder)


@pytest.fixture
def local(tmp_path: Path, encoder: HashEncoder) -> Generation:
    return build(tmp_path / "index", only(entries(*TEXTS)), encoder)


def test_it_holds_what_a_folder_holds(index: Index, local: Generation) -> None:
    assert index.documents() == local.documents()
    assert len(index) == len(local) == 6
    for name in TEXTS:
        assert index.document(name) == local.document(name)
        for one, other in zip(index.chunks(name), local.chunks(name), strict=True):
            assert one.text == other.text
            assert list(one.view.origin) == list(other.view.origin)
            assert (one.section_path, one.sentences, one.start) == (
                other.section_path,
                other.sentences,
                other.start,
            )
            assert np.array_equal(index.sentence_vectors(one), local.sentence_vectors(other))


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_rank_alike(
    index: Index, local: Generation, encoder: HashEncoder, question: str
) -> None:
    (vector,) = encoder.encode_queries([question])
    words = [{"river": 1.0, "河": 0.5}, {"bridge": 1.0, "桥": 0.5}]
    for translated in ([], words):
        here = retrieve(local, question, vector, 4, None, translated)
        there = retrieve(index.view(), question, vector, 4, None, translated)
        assert [hit.chunk.text for hit in there] == [hit.chunk.text for hit in here]
        for one, other in zip(there, here, strict=True):
            assert one.dense == pytest.approx(other.dense, abs=1e-5)
            assert one.lexical == pytest.approx(other.lexical, abs=0.05)
            nearest = max((local.sentence_vectors(other.chunk) @ vector).tolist())
            shares = one.lexical - other.lexical
            assert one.score - other.score == pytest.approx(0.1 * shares, abs=0.01)
            assert index.nearest_sentences([one.chunk.id], vector) == pytest.approx([nearest])
            # Fewer than are looked for: each is among the nearest.
            assert one.found_by == other.found_by
        places = [hit.chunk.id for hit in there]
        turned = index.nearest_sentences([*reversed(places), places[0]], vector)
        assert turned[::-1][1:] == pytest.approx(index.nearest_sentences(places, vector))
        assert turned[-1] == pytest.approx(turned[-2])


def test_words_weigh_what_they_weigh_in_a_folder(index: Index, local: Generation) -> None:
    words = ["桥", "甲镇", "图书馆", "没有这个词"]
    here, there = local.idfs(words), index.idfs(words)
    assert [there[word] for word in words] == pytest.approx([here[w] for w in words], rel=0.25)


def test_among(index: Index, encoder: HashEncoder) -> None:
    (vector,) = encoder.encode_queries(["甲镇有几座桥？"])
    hits = retrieve(index, "甲镇有几座桥？", vector, 5, among=["乙", "丙"])
    assert {hit.chunk.document_id for hit in hits} == {"乙", "丙"}


def test_a_change_touches_what_changed(settings: Settings, encoder: HashEncoder) -> None:
    corpus = corpus_of(settings)
    corpus.change(only(entries("甲", "乙")), encoder)
    encoder.embedded.clear()
    changed = Entry(load("乙村的桥拆掉了。".encode(), "乙.md"))
    index = corpus.change(only([*entries("甲"), changed, *entries("丙")]), encoder)
    assert len(encoder.embedded) == 2
    assert [info.id for info in index.documents()] == ["甲", "乙", "丙"]
    assert [chunk.text for chunk in index.chunks("乙")] == ["乙村的桥拆掉了。"]
    assert len(index) == 4
    index = corpus.change(lambda held: Change(remove=["甲"]), encoder)
    assert [info.id for info in index.documents()] == ["乙", "丙"]
    assert len(index) == 2
    with pytest.raises(NotFoundError, match="甲"):
        index.document("甲")
    index = corpus.change(only([]), encoder)
    assert index.document_count == 0
    assert len(index) == 0
    assert retrieve(index, "桥", encoder.encode_queries(["桥"])[0], 3) == []


def test_an_upload_and_a_removal_list_no_documents(
    settings: Settings, encoder: HashEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = corpus_of(settings)
    pipeline = Pipeline(corpus.change(only(entries("甲", "乙")), encoder), encoder, settings)

    def listed(self: Headers) -> None:
        raise AssertionError("all documents are listed")

    with monkeypatch.context() as context:
        context.setattr(Headers, "all", listed)
        pipeline.add("丁.md", TEXTS["丁"].encode())
        # Another file of the same id gets one of its own; the same file replaces.
        other = pipeline.add("丁.txt", "另一篇。".encode())
        pipeline.add("丁.md", "丁城变了。".encode())
        pipeline.remove("甲")
    assert other.id.startswith("丁-")
    assert [info.id for info in pipeline.documents()] == ["乙", "丁", other.id]
    assert pipeline.document("丁").text == "丁城变了。"
    assert pipeline.document_count == 3


def test_a_text_longer_than_a_field(settings: Settings, encoder: HashEncoder) -> None:
    document = load(LONG.encode(), "长.txt")
    index = corpus_of(settings).change(only([Entry(document)]), encoder)
    assert index.document("长") == document


def test_the_parts_of_a_content_fit_and_join() -> None:
    content = np.random.default_rng(0).bytes(200_000)
    rows = parts("k", "v", 0, content)
    assert len(rows) == 5
    assert max(len(row["data"]) for row in rows) <= 65_535
    assert [row["id"] for row in rows] == [f"k.v.0.{n}" for n in range(5)]
    assert joined([row["data"] for row in rows]) == content


def test_words_are_one_word_each_to_the_engine() -> None:
    assert words_field(["ai", "桥", "c++", "3.5"]) == "ai xe6a1a5 x632b2b x332e35"
    assert len(words_field(["桥" * 20] * 3000)) <= 65_535


def test_a_pipeline_over_it(settings: Settings, encoder: HashEncoder, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in ("甲", "丁"):
        (folder / f"{name}.md").write_text(TEXTS[name], "utf-8")
    (folder / "坏.pdf").write_bytes(b"no PDF")
    index, refused = build_index([folder], encoder, settings)
    assert len(refused) == 1
    assert "坏.pdf" in refused[0]
    pipeline = Pipeline(index, encoder, settings)
    answer = pipeline.ask("甲镇有几座桥？")
    assert answer.citations[0].cited_text in TEXTS["甲"]
    assert "三十座" in (answer.text or "")
    assert pipeline.add("戊.txt", TEXTS["戊"].encode()).chunks == 1
    assert "五十万" in (pipeline.ask("戊县的人口是多少？").text or "")
    assert pipeline.summary(["甲"])
    assert pipeline.outline("甲")[0].name == "河流"
    # Another process shares the corpus and sees it at once.
    other = Pipeline(corpus_of(settings).open(encoder), encoder, settings)
    assert {info.id for info in other.documents()} == {"甲", "丁", "戊"}
    pipeline.remove("戊")
    assert other.ask("戊县的人口是多少？").citations[0].document_id != "戊"
    with pytest.raises(NotFoundError):
        other.ask("人口？", document_ids=["戊"])
    # Uploads outlive a rebuild, files that are gone do not.
    pipeline.add("乙.md", TEXTS["乙"].encode())
    (folder / "丁.md").unlink()
    build_index([folder], encoder, settings)
    assert [info.id for info in other.documents()] == ["甲", "乙"]


def test_no_answer_from_a_document_removed_meanwhile(
    settings: Settings, encoder: HashEncoder
) -> None:
    corpus = corpus_of(settings)
    pipeline = Pipeline(corpus.change(only(entries("甲", "乙")), encoder), encoder, settings)
    problems: list[str] = []
    removed, stop = threading.Event(), threading.Event()

    def asking() -> None:
        while not stop.is_set():
            gone = removed.is_set()
            try:
                answer = pipeline.ask("丁城的图书馆周一开放吗？")
            except XhqaError as error:
                problems.append(repr(error))
                return
            for citation in answer.citations:
                if gone and removed.is_set() and citation.document_id == "丁":
                    problems.append("an answer from a removed document")

    threads = [threading.Thread(target=asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        removed.clear()
        pipeline.add("丁.md", TEXTS["丁"].encode())
        pipeline.remove("丁")
        removed.set()
        pipeline.documents()
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []


def test_another_encoder(settings: Settings, encoder: HashEncoder) -> None:
    corpus = corpus_of(settings)
    corpus.change(only(entries("甲", "乙")), encoder)
    other = HashEncoder()
    other.fingerprint = "hash-2"
    with pytest.raises(IndexDamagedError, match="hash-1"):
        corpus.open(other)
    # An upload must not throw away what another encoder made; `xhqa index` may.
    with pytest.raises(IndexDamagedError, match="hash-1"):
        corpus.change(lambda _: Change(entries("丙")), other)
    assert len(corpus.open(encoder)) == 3

    def stopped(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpus.change(lambda _: Change(entries("丙")), other, stopped, over_damage=True)
    # What was interrupted is begun anew.
    index = corpus.change(lambda _: Change(), other, over_damage=True)
    assert len(other.embedded) == 3
    assert len(index) == 3
    assert [info.id for info in index.documents()] == ["甲", "乙"]
    with pytest.raises(IndexDamagedError, match="hash-2"):
        corpus.open(encoder)


def test_what_is_wrong_is_said(tmp_path: Path, settings: Settings, encoder: HashEncoder) -> None:
    with pytest.raises(InputError, match="XHQA_MILVUS_URI"):
        corpus_of(Settings(store="milvus"))
    assert not corpus_of(settings).exists()
    with pytest.raises(NotFoundError, match="xhqa index"):
        corpus_of(settings).open(encoder)
    twins = [*entries("甲"), *entries("甲")]
    with pytest.raises(InputError, match="rename"):
        corpus_of(settings).change(only(twins), encoder)
    nobody = settings.model_copy(update={"milvus_uri": "http://127.0.0.1:9"})
    with pytest.raises(StoreError, match=re.escape("127.0.0.1:9")):
        corpus_of(nobody).exists()


def test_an_engine_that_fails_while_asked_is_told(settings: Settings, encoder: HashEncoder) -> None:
    pipeline = Pipeline(corpus_of(settings).change(only(entries("甲")), encoder), encoder, settings)
    _connected(settings.milvus_uri, "").drop_collection("xhqa_chunks")
    with pytest.raises(StoreError, match="see that it runs"):
        pipeline.ask("甲镇有几座桥？")
