"""Documents come and go while clients ask: ``python tests/churn.py SQUAD FOLDER``.

Every paragraph of the SQuAD-style file becomes a file. Times the whole build, and the build after
one file was changed; then serves the index and adds, changes and removes documents one at a time
for ``--seconds`` while ``--clients`` ask without pause. Prints the figures as JSON. What is built
in FOLDER is used again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
from xhqa_eval.metrics import percentile
from xhqa_eval.squad import load_squad

from xhqa.config import load_settings
from xhqa.encode import encoder_of
from xhqa.ingest import build_index
from xhqa.progress import Bar

_CHANGED = "这一段是后来加上去的。"


def build(folder: Path, texts: list[str]) -> dict[str, Any]:
    documents = folder / "documents"
    documents.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (documents / f"{number:05}.txt").write_text(text, "utf-8")
    settings = load_settings().model_copy(update={"index_dir": folder / "index"})
    encoder = encoder_of(settings)

    def timed() -> tuple[float, int]:
        began = time.perf_counter()
        with Bar() as progress:
            index, refused = build_index([documents], encoder, settings, progress)
        assert refused == []
        return time.perf_counter() - began, len(index)

    whole, chunks = timed()
    again = []
    for number in range(3):
        (documents / f"{number:05}.txt").write_text(texts[number] + _CHANGED, "utf-8")
        again.append(timed()[0])
    return {
        "files": len(texts),
        "chunks": chunks,
        "build_s": round(whole, 1),
        "one_changed_s": [round(seconds, 2) for seconds in again],
        "share": round(sorted(again)[1] / whole, 4),
    }


class Trial:
    """Clients that ask and one that changes; what must not happen is in ``problems``."""

    def __init__(self, address: str, questions: list[str], texts: list[str]) -> None:
        self.address = address
        self.questions = questions
        self.texts = texts
        self.stop = threading.Event()
        self.problems: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.times: list[float] = []
        self.changes: list[float] = []
        self.removed: frozenset[str] = frozenset()

    def ask(self, seed: int) -> None:
        rng = random.Random(seed)
        with httpx2.Client(base_url=self.address, timeout=120) as client:
            while not self.stop.is_set():
                gone = self.removed
                began = time.perf_counter()
                response = client.post("/ask", json={"question": rng.choice(self.questions)})
                self.times.append(time.perf_counter() - began)
                self.statuses[response.status_code] += 1
                if response.status_code != 200:
                    self.problems.append(response.text)
                    continue
                answer = response.json()
                places = [*answer["citations"], *answer["passages"]]
                # A question may have waited until the document was there again.
                still = gone & self.removed
                for place in places:
                    if place["document_id"] in still:
                        self.problems.append(f"{place['document_id']} was removed before")

    def change(self, seconds: float) -> None:
        """Changes a document, removes it, and adds it again."""
        rng = random.Random(0)
        until = time.monotonic() + seconds
        with httpx2.Client(base_url=self.address, timeout=300) as client:
            while time.monotonic() < until:
                number = rng.randrange(len(self.texts))
                name, text = f"{number:05}", self.texts[number]
                self._put(client, name, text + _CHANGED)
                self._timed(client.delete(f"/documents/{name}"), 204)
                self.removed = frozenset({name})
                time.sleep(3)
                self.removed = frozenset()
                self._put(client, name, text)
        self.stop.set()

    def _put(self, client: httpx2.Client, name: str, text: str) -> None:
        files = {"file": (f"{name}.txt", text.encode())}
        self._timed(client.post("/documents", files=files), 201)

    def _timed(self, response: httpx2.Response, expected: int) -> None:
        self.changes.append(response.elapsed.total_seconds())
        if response.status_code != expected:
            self.problems.append(response.text)

    def run(self, clients: int, seconds: float) -> dict[str, Any]:
        threads = [threading.Thread(target=self.ask, args=(seed,)) for seed in range(clients)]
        for thread in threads:
            thread.start()
        self.change(seconds)
        for thread in threads:
            thread.join()
        return {
            "clients": clients,
            "statuses": dict(self.statuses),
            "changes": len(self.changes),
            "change_p50_s": round(percentile(self.changes, 50), 2),
            "ask_p50_s": round(percentile(self.times, 50), 2),
            "ask_p95_s": round(percentile(self.times, 95), 2),
            "problems": self.problems[:5],
        }


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "xhqa.cli", "serve", "--port", str(port)],
        env=os.environ | {"XHQA_INDEX_DIR": str(folder / "index"), "XHQA_LOG": "json"},
        stderr=(folder / "server.log").open("w"),
    )
    address = f"http://127.0.0.1:{port}"
    while True:
        assert process.poll() is None, (folder / "server.log").read_text()
        try:
            if httpx2.get(f"{address}/health/ready").status_code == 200:
                return process, address
        except httpx2.TransportError:
            time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("squad", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--clients", type=int, default=4)
    a = parser.parse_args()
    paragraphs, questions = load_squad(a.squad)
    texts = [paragraph.text for paragraph in paragraphs]
    print(json.dumps(build(a.folder, texts)), flush=True)
    process, address = serve(a.folder)
    try:
        trial = Trial(address, [q.question for q in questions], texts)
        print(json.dumps(trial.run(a.clients, a.seconds), ensure_ascii=False), flush=True)
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
