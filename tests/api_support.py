"""A service that needs no model, and what a problem over HTTP looks like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xhqa.config import Settings
from xhqa.errors import InputError, NotFoundError, XhqaError
from xhqa.types import Answer, Citation, Document, DocumentInfo, OutlineEntry, Passage, Turn

TEXT = "徐汇有755家大模型企业。😀"
PROBLEM = "application/problem+json"


class FakeService:
    """Finds 755 in every document whose text has it; counts code points."""

    def __init__(self) -> None:
        self.ready = True
        self.progress: tuple[str, int, int] | None = None
        self.failure: Exception | None = None
        self.asked: list[tuple[str, list[Turn], int, list[str] | None]] = []
        self.store: dict[str, Document] = {}
        self.add("五年-xuhui.txt", TEXT.encode())

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def ask(
        self,
        question: str,
        history: Sequence[Turn] = (),
        top_k: int = 5,
        document_ids: Sequence[str] | None = None,
    ) -> Answer:
        self._fail()
        ids = None if document_ids is None else list(document_ids)
        self.asked.append((question, list(history), top_k, ids))
        for document_id in ids or ():
            self.document_or(document_id, NotFoundError)
        times = {"retrieve": 1.5, "read": 2.5, "total": 4.0}
        document = self.store.get("五年-xuhui")
        if document is None:
            return Answer(question, question, None, 0.0, refusal_reason="empty_index")
        passage = Passage(document.id, ("一", "二"), 0, len(TEXT), TEXT, 0.5, ("lexical",))
        if "?" not in question and "？" not in question:
            return Answer(
                question,
                question,
                None,
                0.125,
                refusal_reason="no_evidence",
                nearest=(passage,),
                passages=(passage,),
                timings_ms=times,
            )
        start = TEXT.index("755")
        citation = Citation(
            1, document.id, document.title, ("一",), None, "755家", start, start + 4, TEXT, 0, 0.97
        )
        return Answer(
            question,
            question,
            "755家",
            0.97,
            citations=(citation,),
            passages=(passage,),
            timings_ms=times,
        )

    def document_or(self, document_id: str, error: type[XhqaError]) -> Document:
        if document_id not in self.store:
            raise error(f"There is no document {document_id!r}: see GET /documents.")
        return self.store[document_id]

    @property
    def document_count(self) -> int:
        return len(self.store)

    @property
    def passage_count(self) -> int:
        return len(self.store)

    def documents(self) -> tuple[DocumentInfo, ...]:
        self._fail()
        return tuple(self.info(document_id) for document_id in self.store)

    def document(self, document_id: str) -> Document:
        self._fail()
        return self.document_or(document_id, NotFoundError)

    def outline(self, document_id: str) -> tuple[OutlineEntry, ...]:
        return (OutlineEntry("<b>节</b>", 1, 2),)

    def described(self, document_id: str) -> tuple[DocumentInfo, Document]:
        return self.info(document_id), self.document(document_id)

    def info(self, document_id: str) -> DocumentInfo:
        document = self.document(document_id)
        return DocumentInfo(
            document.id,
            document.title,
            document.source_name,
            document.sha256,
            len(document.text),
            1,
            document.media_type,
        )

    def add(self, name: str, data: bytes) -> DocumentInfo:
        self._fail()
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{name} is not text: save it as UTF-8.") from error
        document_id = name.rpartition(".")[0]
        self.store[document_id] = Document(
            document_id, document_id, text, name, "0" * 64, "text/plain"
        )
        return self.info(document_id)

    def remove(self, document_id: str) -> None:
        self._fail()
        self.document_or(document_id, NotFoundError)
        del self.store[document_id]


def settings(max_upload_mb: float = 20) -> Settings:
    return Settings.model_validate({"max_upload_mb": max_upload_mb})


def assert_problem(response: Any, status: int, *words: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    problem: dict[str, Any] = response.json()
    assert set(problem) in ({"type", "title", "status", "detail"}, {*problem, "errors"})
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"]
    return problem
