from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import HashEncoder, only

from xhqa.index import Entry, Generation, build
from xhqa.lexical import query_tokens
from xhqa.load import load
from xhqa.retrieve import LEXICAL_WEIGHT, MEAN_SHARE, TRANSLATED_WEIGHT, centred, retrieve


@pytest.fixture
def index(tmp_path: Path, encoder: HashEncoder) -> Generation:
    texts = ["甲镇有三十座桥。", "乙村种植水稻和小麦。", "The river Thames flows through London."]
    return build(
        tmp_path / "index",
        only([Entry(load(t.encode(), f"d{n}.txt")) for n, t in enumerate(texts)]),
        encoder,
    )


def test_the_score_is_similarity_plus_share_and_that_of_the_nearest_sentence(
    index: Generation, encoder: HashEncoder
) -> None:
    question = "甲镇有几座桥？"
    vector = encoder.encode_queries([question])[0]
    hits = retrieve(index, question, vector, 3)
    assert hits[0].chunk.document_id == "d0"
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    shares = index.lexical.shares(query_tokens(question))
    for hit in hits:
        number = int(hit.chunk.document_id[1:])
        stored = index.store.vectors([number])[0]
        assert hit.dense == pytest.approx(float(stored @ vector), abs=1e-5)
        assert hit.lexical == pytest.approx(float(shares[number]))
        fused = hit.dense + LEXICAL_WEIGHT * hit.lexical
        nearest = max((index.sentence_vectors(hit.chunk) @ vector).tolist())
        assert hit.score == pytest.approx((fused + nearest) / 2, abs=1e-5)


def test_a_passage_is_found_by_one_of_its_sentences(tmp_path: Path, encoder: HashEncoder) -> None:
    whole = "甲镇有三十座桥。" + "乙村种植水稻和小麦。丙城每年举办花展。" * 3
    texts = [whole, "甲镇有集市，乙村没有桥。"]
    entries = [Entry(load(t.encode(), f"d{n}.txt")) for n, t in enumerate(texts)]
    index = build(tmp_path / "index", only(entries), encoder)
    question = "甲镇有三十座桥吗？"
    vector = encoder.encode_queries([question])[0]
    hits = retrieve(index, question, vector, 2)
    fused = {h.chunk.document_id: h.dense + LEXICAL_WEIGHT * h.lexical for h in hits}
    assert fused["d0"] < fused["d1"], "as a whole it is further off"
    assert [h.chunk.document_id for h in hits] == ["d0", "d1"]
    assert [h.chunk.document_id for h in retrieve(index, question, vector, 1)] == ["d0"]


def test_a_hit_says_which_side_found_it(
    index: Generation, encoder: HashEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xhqa.retrieve._CANDIDATES", 1)
    vector = index.store.vectors([1])[0]
    hits = retrieve(index, "甲镇", vector, 1)
    assert [(h.chunk.document_id, h.found_by) for h in hits] == [("d1", ("dense",))]
    vector = index.store.vectors([0])[0]
    (hit,) = retrieve(index, "甲镇", vector, 1)
    assert (hit.chunk.document_id, hit.found_by) == ("d0", ("dense", "lexical"))
    low = -index.store.vectors([2])[0] + index.store.vectors([1])[0]
    (hit,) = retrieve(index, "Thames London", 0.01 * low, 1)
    assert (hit.chunk.document_id, hit.found_by) == ("d2", ("lexical",))


def test_a_question_of_unknown_words_keeps_its_dense_ranking(
    index: Generation, encoder: HashEncoder
) -> None:
    vector = index.store.vectors([1])[0]
    hits = retrieve(index, "Wieviele Brücken?", vector, 3)
    assert hits[0].chunk.document_id == "d1"
    assert all(hit.lexical == 0 for hit in hits)


def test_translated_words_raise_the_passages_that_hold_them(index: Generation) -> None:
    vector = index.store.vectors([1])[0]
    words = [{"bridge": 1.0, "桥": 0.5}, {"rice": 1.0}]
    plain = {h.chunk.document_id: h for h in retrieve(index, "bridge rice", vector, 3)}
    hits = {h.chunk.document_id: h for h in retrieve(index, "bridge rice", vector, 3, None, words)}
    shares = index.lexical.alternative_shares(words)
    assert shares[0] > shares[1] == shares[2] == 0
    assert hits["d0"].lexical == pytest.approx(float(shares[0]))
    assert hits["d0"].score - plain["d0"].score == pytest.approx(
        TRANSLATED_WEIGHT * float(shares[0]) / 2, abs=1e-6
    )
    assert hits["d1"].score == pytest.approx(plain["d1"].score)


def test_among(index: Generation, encoder: HashEncoder) -> None:
    vector = encoder.encode_queries(["甲镇"])[0]
    hits = retrieve(index, "甲镇", vector, 5, among=["d1", "d2"])
    assert {hit.chunk.document_id for hit in hits} == {"d1", "d2"}
    assert retrieve(index, "甲镇", vector, 5, among=[]) == []


def test_centring_takes_a_part_of_the_mean_of_its_script(index: Generation) -> None:
    vector = np.ones(256, np.float32)
    for question, script in (("有几座桥？", "han"), ("How many?", "other")):
        expected = 1 - MEAN_SHARE * index.question_means[script]
        assert centred(index, question, vector) == pytest.approx(expected)
    assert not np.allclose(index.question_means["han"], index.question_means["other"])
