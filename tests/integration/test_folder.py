"""A folder of reports in all formats: what is put in is found, quoted as it stands, on its page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from reports import Fact, write

from xhqa.config import load_settings
from xhqa.encode import encoder_of
from xhqa.ingest import build_index
from xhqa.pipeline import Pipeline
from xhqa.script import tidy

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pipeline, list[Fact]]]:
    folder = tmp_path_factory.mktemp("reports")
    facts = write(folder / "documents")
    settings = load_settings().model_copy(update={"index_dir": folder / "index"})
    encoder = encoder_of(settings)
    index, refused = build_index([folder / "documents"], encoder, settings)
    assert refused == []
    assert len(index.documents()) == 36
    return Pipeline.open(settings=settings, encoder=encoder), facts


def test_every_fact_is_found_quoted_and_on_its_page(asked: tuple[Pipeline, list[Fact]]) -> None:
    pipeline, facts = asked
    names = {info.id: info.source_name for info in pipeline.documents()}
    assert len(facts) == 108
    assert len({fact.page for fact in facts if fact.file.endswith(".pdf")}) == 3
    missed = []
    # One of each file; `write` makes three.
    for fact in (facts[at + at // 27 % 3] for at in range(0, len(facts), 3)):
        answer = pipeline.ask(fact.question)
        for citation in answer.citations:
            text = pipeline.document(citation.document_id).text
            quoted = text[citation.start_char_index : citation.end_char_index]
            assert quoted == citation.cited_text
        first = answer.citations[0] if answer.citations else None
        found = first and (names[first.document_id], fact.answer in tidy(first.context))
        if found != (fact.file, True):
            missed.append((fact, answer.text, answer.confidence))
        else:
            assert first is not None
            assert first.page == fact.page
    assert missed == []
