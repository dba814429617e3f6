"""Broken and hostile files by the hundred: ``python tests/hostile.py --count 1000``.

Each is loaded as an upload would be, by a process that is watched: none may crash it, take over
30 s or 2 GB, or open a file for writing outside the folder for temporary files. What is neither
read nor refused with an InputError is a failure. Prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import select
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from making import docx, epub, page, pdf_lines, xlsx

_SECONDS = 30.0
_GIGABYTES = 2.0
Made = tuple[str, bytes]


def valid(rng: random.Random) -> list[Made]:
    """One file of each format, as a start for what is to be broken."""
    text = "".join(rng.choice("甲乙丙丁戊己庚辛，。") for _ in range(rng.randrange(200, 2000)))

    def word(document: Any) -> None:
        document.add_heading("标题", 1)
        document.add_paragraph(text)
        document.add_table(2, 2).cell(0, 0).text = "格"

    def book(workbook: Any) -> None:
        sheet = workbook.create_sheet("表")
        for row in range(20):
            sheet.append([f"名{row}", row, text[:30]])

    return [
        ("a.txt", text.encode("gb18030")),
        ("a.md", f"# 标题\n\n{text}\n\n## 二\n\n- {text}".encode()),
        ("a.html", f"<h1>标题</h1><p>{text}</p><table><tr><td>{text}".encode("big5", "replace")),
        ("a.csv", f"名,值\n{text},1\n".encode("utf-16")),
        ("a.docx", docx(word)),
        ("a.xlsx", xlsx(book)),
        ("a.epub", epub([page(f"<h1>章</h1><p>{text}</p>")] * 3)),
        ("a.pdf", pdf_lines([[(70, 700 - 20 * n, 11, text[n : n + 30]) for n in range(9)]] * 2)),
    ]


def truncated(rng: random.Random) -> Made:
    name, data = rng.choice(valid(rng))
    return name, data[: rng.randrange(len(data))]


def flipped(rng: random.Random) -> Made:
    name, data = rng.choice(valid(rng))
    broken = bytearray(data)
    for _ in range(rng.choice((1, 5, 50))):
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    return name, bytes(broken)


def spliced(rng: random.Random) -> Made:
    """The beginning of one file and the end of another."""
    (name, one), (_, other) = rng.sample(valid(rng), 2)
    return name, one[: rng.randrange(len(one))] + other[rng.randrange(len(other)) :]


def mistaken(rng: random.Random) -> Made:
    """A file under the ending of another format."""
    (_, data), (name, _) = rng.sample(valid(rng), 2)
    return name, data


def noise(rng: random.Random) -> Made:
    suffix = rng.choice(["txt", "md", "html", "csv", "docx", "xlsx", "epub", "pdf"])
    head = rng.choice((b"", b"%PDF-1.7\n", b"PK\x03\x04", b"\xff\xfe", b"\xef\xbb\xbf", b"<html>"))
    return f"a.{suffix}", head + rng.randbytes(rng.randrange(200_000))


def bomb(rng: random.Random) -> Made:
    """Parts that unpack to much more than they are, or very many of them."""
    suffix = rng.choice(("docx", "xlsx", "epub"))
    inside = {
        "docx": "word/document.xml",
        "xlsx": "xl/worksheets/sheet1.xml",
        "epub": "OPS/text/章0.xhtml",
    }[suffix]
    _, data = next(made for made in valid(rng) if made[0].endswith(suffix))
    made = BytesIO(data)
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        kind = rng.randrange(3)
        if kind == 0:
            with archive.open(f"{inside}.more", "w", force_zip64=True) as part:
                for _ in range(rng.randrange(10, 300)):
                    part.write(b" " * 2**20)
        elif kind == 1:
            for number in range(20_000):
                archive.writestr(f"a/{number}", b"x")
        else:
            entity = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
            archive.writestr(inside + "2", f'<!DOCTYPE r [<!ENTITY e0 "x">{entity}]><r>&e11;</r>')
    return f"a.{suffix}", made.getvalue()


def replaced(rng: random.Random) -> Made:
    """An archive whose main part is hostile."""
    depth = rng.randrange(1_000, 200_000)
    entity = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    inner = rng.choice(
        (
            "<a>" * depth,
            "<a>" * depth + "</a>" * depth,
            f'<!DOCTYPE r [<!ENTITY e0 "x">{entity}]><r>&e11;</r>',
            '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><r>&e;</r>',
            '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/r.dtd"><r/>',
            "\0" * depth,
            "",
        )
    )
    name, data = rng.choice([made for made in valid(rng) if made[1][:2] == b"PK"])
    main = ("word/document.xml", "xl/workbook.xml", "sheet1.xml", ".xhtml", "book.opf")
    made = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for part in old.namelist():
            new.writestr(part, inner if part.endswith(main) else old.read(part))
    return name, made.getvalue()


def deep(rng: random.Random) -> Made:
    depth = rng.randrange(1_000, 300_000)
    return rng.choice(
        (
            ("a.html", b"<div>" * depth + "甲".encode()),
            ("a.html", b"<table><tr><td>" * (depth // 3)),
            ("a.html", b"<b><i>" * (depth // 10) + b"</b>" * (depth // 10)),
            ("a.md", b">" * depth + b" a"),
            ("a.md", b"[" * depth),
            ("a.md", b"*a_" * (depth // 3)),
            ("a.md", b"\n".join(b" " * n + b"- a" for n in range(min(depth, 2_000)))),
            ("a.txt", "（".encode() * depth),
            ("a.txt", b"1.1." * depth),
        )
    )


def long_line(rng: random.Random) -> Made:
    """Ten million characters without a line break."""
    piece = rng.choice(("a", "甲", "1", " ", "甲，", "甲。", "a b ", "1.", "<p>", "\u0301", "“"))
    suffix = rng.choice(("txt", "md", "csv", "html"))
    return f"a.{suffix}", (piece * (10_000_000 // len(piece))).encode()


def named(rng: random.Random) -> Made:
    """Names that point elsewhere or hold what names should not."""
    name = rng.choice(
        (
            "../../../../tmp/xhqa-escaped.txt",
            "..\\..\\xhqa-escaped.txt",
            "/tmp/xhqa-escaped.txt",
            "C:\\Windows\\xhqa-escaped.txt",
            "a\0b.txt",
            "a\nb.txt",
            "\u202etxt.exe.txt",
            "甲" * 4000 + ".txt",
            "..txt",
            ".txt",
            "",
            "con.txt",
            "\udcff\udcfe.txt",
            "<img src=x onerror=alert(1)>.md",
            "a.txt/../../b.txt",
            "%2e%2e%2fb.txt",
        )
    )
    return name, "文字。".encode() * rng.randrange(1, 50)


def crafted_pdf(rng: random.Random) -> Made:
    """A PDF whose objects point at each other, promise much or hold deep arrays."""
    body = rng.choice(
        (
            b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[2 0 R]/Count 1>>endobj",
            b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj "
            b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 999999999>>endobj "
            b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 1e30 1e30]>>endobj",
            b"1 0 obj" + b"[" * 100_000 + b"]" * 100_000 + b"endobj",
            b"1 0 obj<</Length 99999999999>>stream\nxx\nendstream endobj",
        )
    )
    return "a.pdf", b"%PDF-1.4\n" + body + b"\ntrailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF"


KINDS: tuple[Callable[[random.Random], Made], ...] = (
    truncated,
    flipped,
    spliced,
    mistaken,
    noise,
    bomb,
    replaced,
    deep,
    long_line,
    named,
    crafted_pdf,
)


def work(folder: Path) -> None:
    """Loads what it is told of on standard input, and says how it went."""
    from xhqa.errors import InputError
    from xhqa.load import load

    allowed = (str(folder), tempfile.gettempdir(), "/dev/null")
    written: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes):
            return
        path, mode, flags = os.fsdecode(arguments[0]), arguments[1], arguments[2]
        writes = (mode and set("wax+") & set(mode)) or flags & (os.O_WRONLY | os.O_RDWR)
        if writes and not os.path.abspath(path).startswith(allowed):
            written.append(path)

    sys.addaudithook(watch)
    for line in sys.stdin:
        name, file = json.loads(line)
        began = time.perf_counter()
        try:
            load(Path(file).read_bytes(), name)
            said = "read"
        except InputError:
            said = "refused"
        except Exception as error:  # noqa: BLE001
            said = f"failed: {error!r}"[:300]
        peak = max(
            resource.getrusage(who).ru_maxrss
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        told = [said, time.perf_counter() - began, peak / 2**20, written]
        print(json.dumps(told), flush=True)


class Watched:
    """A process that loads; it is started anew where it crashed or hung."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def load(self, name: str, file: Path) -> tuple[str, float, float, list[str]]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__, "--work", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([name, str(file)]) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], 2 * _SECONDS)
        line = process.stdout.readline() if ready else ""
        if line:
            said, seconds, gigabytes, written = json.loads(line)
            return said, seconds, gigabytes, written
        process.kill()
        process.wait()
        self._process = None
        return ("crashed" if ready else "hung"), 2 * _SECONDS, 0.0, []

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def trial(count: int, seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    problems: list[str] = []
    slowest, largest = 0.0, 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        watched = Watched(folder)
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            given, data = kind(rng)
            file = folder / f"{number}"
            file.write_bytes(data)
            said, seconds, gigabytes, written = watched.load(given, file)
            file.unlink()
            outcomes[f"{kind.__name__}: {said.partition(':')[0]}"] += 1
            slowest, largest = max(slowest, seconds), max(largest, gigabytes)
            bad = said not in ("read", "refused") or seconds > _SECONDS or gigabytes > _GIGABYTES
            if bad or written:
                problems.append(f"{number} {kind.__name__} {given[:40]!r}: {said} {seconds:.1f} s")
                print(problems[-1], written, file=sys.stderr, flush=True)
        watched.close()
    return {
        "files": count,
        "outcomes": dict(sorted(outcomes.items())),
        "slowest_s": round(slowest, 1),
        "peak_gb": round(largest, 2),
        "problems": problems,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.work:
        work(a.work)
    else:
        print(json.dumps(trial(a.count, a.seed), indent=1))


if __name__ == "__main__":
    main()
