"""xhqa against Haystack, and against itself in float32, with the same weights:
``python -m xhqa_eval.compare SQUAD``.

Haystack 2 (``pip install '.[compare]'``) is put together as its documentation does it: an in-memory
store, embedding and BM25 retrievers, a joiner by reciprocal ranks, an ``ExtractiveReader`` on five
passages. Its encoder is the bundled one, its reader the one in use, as ``xhqa export-reader``
writes it, and its documents are xhqa's passages. ``float32`` is xhqa with ``XHQA_RUNTIME=torch``,
its index too: it sifts nothing and keeps nothing of passages. All answer each question in turn on
the same cores.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from xhqa import bundle
from xhqa.config import Settings, load_settings
from xhqa.encode import Encoder, encoder_of
from xhqa.index import corpus_of
from xhqa.pipeline import Pipeline
from xhqa.progress import Bar
from xhqa.read.span import BUNDLED

from .metrics import exact_match, f1_score, mean, percentile, recall_at_k
from .open_index import index_paragraphs
from .run import rank_of_document
from .squad import load_squad

Answerer = Callable[[str], str | None]

_PASSAGES = 5


def haystack(passages: Sequence[str], settings: Settings, reader: Path) -> Answerer:
    """A function that answers by Haystack from these passages."""
    import torch
    from haystack import Document
    from haystack.components.embedders import (
        SentenceTransformersDocumentEmbedder,
        SentenceTransformersTextEmbedder,
    )
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.readers import ExtractiveReader
    from haystack.components.retrievers.in_memory import (
        InMemoryBM25Retriever,
        InMemoryEmbeddingRetriever,
    )
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack.utils import ComponentDevice

    if settings.threads:
        torch.set_num_threads(settings.threads)
    cpu = ComponentDevice.from_str("cpu")
    encoder = str(bundle.converted(settings.cache_dir))
    store = InMemoryDocumentStore()
    embedder = SentenceTransformersDocumentEmbedder(encoder, device=cpu, prefix="passage: ")
    embedder.warm_up()
    documents = [Document(content=text) for text in passages]
    store.write_documents(embedder.run(documents)["documents"])
    asking = SentenceTransformersTextEmbedder(
        encoder, device=cpu, prefix="query: ", progress_bar=False
    )
    by_words = InMemoryBM25Retriever(store, top_k=_PASSAGES)
    by_meaning = InMemoryEmbeddingRetriever(store, top_k=_PASSAGES)
    joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=_PASSAGES)
    reading = ExtractiveReader(str(reader), device=cpu, top_k=1, no_answer=False)
    for component in (asking, reading):
        component.warm_up()

    def answer(question: str) -> str | None:
        vector = asking.run(question)["embedding"]
        found = [
            by_words.run(question)["documents"],
            by_meaning.run(query_embedding=vector)["documents"],
        ]
        joined = joiner.run(found)["documents"]
        answers = reading.run("query: " + question, joined)["answers"]
        return answers[0].data if answers else None

    return answer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m xhqa_eval.compare", description=__doc__)
    parser.add_argument("squad", type=Path)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N questions")
    a = parser.parse_args()
    # Both are read when the libraries are imported.
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Haystack never refuses here, so xhqa does not either.
    plain = load_settings().model_copy(update={"min_confidence": 0.0, "encoder": "bundled"})
    paragraphs, asked = load_squad(a.squad, None, a.limit)

    def opened(runtime: str) -> tuple[Pipeline, Settings, Encoder]:
        settings = plain.model_copy(update={"runtime": runtime})
        encoder = encoder_of(settings)
        with Bar() as progress:
            settings = index_paragraphs(a.squad, paragraphs, encoder, settings, progress)
        return Pipeline.open(settings=settings, encoder=encoder), settings, encoder

    pipeline, settings, encoder = opened("onnx")
    float32, _, _ = opened("torch")
    index = corpus_of(settings).open(encoder)
    passages = [chunk.text for info in index.documents() for chunk in index.chunks(info.id)]
    path = BUNDLED if settings.reader == "span" else Path(settings.reader)
    from xhqa.read.model import export

    with tempfile.TemporaryDirectory() as folder:
        export(path, bundle.converted(settings.cache_dir), Path(folder))
        answerers: dict[str, Answerer] = {
            "xhqa": lambda question: pipeline.ask(question).text,
            "float32": lambda question: float32.ask(question).text,
            "haystack": haystack(passages, settings, Path(folder)),
        }
        times: dict[str, list[float]] = {name: [] for name in answerers}
        said: dict[str, list[str | None]] = {name: [] for name in answerers}
        for answer in answerers.values():
            answer("有哪些人？")
        pipeline.prepare()
        with Bar() as progress:
            for number, question in enumerate(asked):
                for name, answer in answerers.items():
                    began = time.perf_counter()
                    said[name].append(answer(question.question))
                    times[name].append((time.perf_counter() - began) * 1000)
                progress("ask", number + 1, len(asked))
    figures: dict[str, dict[str, float | int | None]] = {
        name: {
            "n": len(asked),
            "em": mean(exact_match(q.answers, s) for q, s in zip(asked, said[name], strict=True)),
            "f1": mean(f1_score(q.answers, s) for q, s in zip(asked, said[name], strict=True)),
            "mean_ms": mean(times[name]),
            "p50_ms": percentile(times[name], 50),
            "p95_ms": percentile(times[name], 95),
        }
        for name in answerers
    }
    for name, own in (("xhqa", pipeline), ("float32", float32)):
        figures[name]["recall_at_1"] = mean(
            recall_at_k(rank_of_document(own.search(q.question, top_k=1), q.document_id), 1)
            for q in asked
        )
    print(json.dumps(figures, indent=1))
    print(f"{sum(times['haystack']) / sum(times['xhqa']):.1f} times as fast as Haystack")


if __name__ == "__main__":
    main()
