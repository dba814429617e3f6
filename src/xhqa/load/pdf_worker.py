"""``python -m xhqa.load.pdf_worker``: a PDF on stdin → JSON on stdout, within bounds."""

from __future__ import annotations

import json
import sys

from xhqa.load.pdf_glyphs import PdfProblem, read_pdf
from xhqa.load.pdf_text import assemble

_MEMORY = 1536 * 2**20
_CPU_S = 30
_CPU_S_PER_MB = 10


def _limit(megabytes: float) -> None:
    try:
        import resource
    except ImportError:  # Windows has none; the caller's patience ends in time.
        return
    seconds = int(_CPU_S + _CPU_S_PER_MB * megabytes)
    for kind, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, seconds)):
        _, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(kind, (most, hard))
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def main() -> None:
    data = sys.stdin.buffer.read()
    _limit(len(data) / 2**20)
    try:
        book = read_pdf(data)
        found = assemble(book)
        answer = {
            "text": found.text,
            "headings": [(h.start, h.end, h.level) for h in found.headings],
            "pages": found.pages,
            "title": found.title,
        }
    except PdfProblem as problem:
        answer = {"problem": str(problem)}
    except MemoryError:
        answer = {"problem": "needs too much memory to read: split it"}
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii"))


if __name__ == "__main__":
    main()
