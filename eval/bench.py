"""What ``xhqa bench`` does: latency, throughput, start-up, indexing speed and memory, measured on a
server process of its own over loopback."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from xhqa.config import Settings
from xhqa.cpu import usable_cores
from xhqa.encode import encoder_of
from xhqa.errors import NotFoundError, XhqaError
from xhqa.index import corpus_of
from xhqa.ingest import build_index
from xhqa.pipeline import Pipeline
from xhqa.progress import Bar

from .metrics import percentile
from .plots import growth_plot
from .questions import QUESTIONS, load_questions

CLIENTS = (1, 2, 4, 8, 32)
STAGES = ("retrieve", "read", "total")
_READY_SECONDS = 300.0
_SECONDS = 10.0
_ADDRESS = re.compile(r"xhqa is at (http://\S+?)/ ")

# The server is on this machine, where no proxy leads.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """The stages' milliseconds as the server says them, the milliseconds that the client waited for
    the request that was answered, and how many before it were turned away."""

    stages_ms: Mapping[str, float]
    waited_ms: float
    refused: int = 0


Ask = Callable[[str], Reply]


@dataclass(frozen=True, slots=True)
class Server:
    """A running ``xhqa serve``: its address, process, when it was started, and the seconds until it
    was ready."""

    address: str
    pid: int
    began: float
    ready_s: float


def latency(ask: Ask, questions: Sequence[str], rounds: int) -> Figures:
    """Milliseconds a question, one client: p50 and p95 as the client sees it, p50 of each stage and
    of what is left for HTTP."""
    seen: list[float] = []
    stages: dict[str, list[float]] = {name: [] for name in (*STAGES, "http")}
    for _ in range(rounds):
        for question in questions:
            reply = ask(question)
            seen.append(reply.waited_ms)
            for name in STAGES:
                stages[name].append(reply.stages_ms[name])
            stages["http"].append(reply.waited_ms - reply.stages_ms["total"])
    return {
        "questions": len(seen),
        "p50_ms": percentile(seen, 50),
        "p95_ms": percentile(seen, 95),
        "stages_p50_ms": {name: percentile(values, 50) for name, values in stages.items()},
    }


def throughput(
    ask: Ask, questions: Sequence[str], clients: int, seconds: float = _SECONDS
) -> Figures:
    """``clients`` at once ask one question after the other; once they have settled, for
    ``seconds``: questions answered a second, p50 and p95 in milliseconds of the requests that were
    answered, and how many were turned away. Raises XhqaError where none was answered."""
    turn = itertools.count()
    # All begin at once, which the server's queue takes for a burst.
    since = time.perf_counter() + seconds / 5
    until = since + seconds

    def client(_: int) -> list[tuple[float, Reply]]:
        """When each was answered, the last one after the end."""
        replies: list[tuple[float, Reply]] = []
        while not replies or replies[-1][0] < until:
            reply = ask(questions[next(turn) % len(questions)])
            replies.append((time.perf_counter(), reply))
        return replies

    with ThreadPoolExecutor(clients) as pool:
        replies = [pair for own in pool.map(client, range(clients)) for pair in own]
    waited = [reply.waited_ms for at, reply in replies if since <= at <= until]
    if not waited:
        raise XhqaError(f"no question was answered within {seconds:g} s, {clients} at once")
    return {
        "clients": clients,
        "questions_per_s": len(waited) / seconds,
        "p50_ms": percentile(waited, 50),
        "p95_ms": percentile(waited, 95),
        "turned_away": sum(reply.refused for at, reply in replies if since <= at),
    }


def run_bench(
    settings: Settings, questions: Path | None, limit: int, rounds: int, clients: Sequence[int]
) -> Figures:
    """All measures of the index in use; raises NotFoundError without an index or questions."""
    corpus = corpus_of(settings)
    if not corpus.exists():
        raise NotFoundError(f"there is no index in {corpus.place}: run `xhqa index`")
    asked = [q.question for q in load_questions(questions or QUESTIONS) if not q.history][:limit]
    if not asked:
        raise NotFoundError(f"{questions} holds no question without a history")
    figures: Figures = {"cores": usable_cores()}
    steps = 4 + len(clients)
    with Bar() as progress:
        progress("bench", 0, steps, "start-up")
        start_up = {
            "help_s": _command_seconds(settings, "--help"),
            "ask_s": _command_seconds(settings, "ask", asked[0]),
        }
        with _serving(settings) as server:
            progress("bench", 1, steps, "latency")
            start_up["server_ready_s"] = server.ready_s
            # The page is made once the server is ready: its time is no question's.
            with _direct.open(server.address, timeout=_READY_SECONDS):
                start_up["page_s"] = time.perf_counter() - server.began
            ask = _asking(server.address)
            for question in asked:  # what is cached from then on is part of a running server
                ask(question)
            figures |= {"start_up": start_up, "latency": latency(ask, asked, rounds)}
            figures["throughput"] = []
            for done, count in enumerate(clients, 2):
                progress("bench", done, steps, f"{count} clients")
                figures["throughput"].append(throughput(ask, asked, count))
            figures["server_rss_mb"] = memory_mb(server.pid, "VmRSS")
            figures["server_peak_rss_mb"] = memory_mb(server.pid, "VmHWM")
        progress("bench", steps - 1, steps, "indexing")
        figures["indexing"] = _indexing(settings)
    return figures


def format_bench(figures: Figures) -> str:
    """The figures as a table for a terminal."""
    stages = figures["latency"]["stages_p50_ms"]
    start_up, indexing = figures["start_up"], figures["indexing"]
    rows = [
        ("one client, p50 / p95", _pair(figures["latency"], "ms")),
        *((f"  {name}, p50", f"{value:.1f} ms") for name, value in stages.items()),
        *(
            (
                f"{t['clients']} clients",
                f"{t['questions_per_s']:.2f} questions/s, {_pair(t, 'ms')}"
                + (f", {t['turned_away']} turned away" if t["turned_away"] else ""),
            )
            for t in figures["throughput"]
        ),
        ("xhqa --help", f"{start_up['help_s']:.2f} s"),
        ("xhqa ask", f"{start_up['ask_s']:.2f} s"),
        ("server ready", f"{start_up['server_ready_s']:.2f} s"),
        ("page there", f"{start_up['page_s']:.2f} s"),
        (
            "indexing",
            f"{indexing['chunks_per_s']:.1f} passages/s, {indexing['tokens_per_s']:.0f} tokens/s",
        ),
    ]
    for name, field in (("memory", "server_rss_mb"), ("peak memory", "server_peak_rss_mb")):
        size = figures[field]
        rows.append((f"server's {name}", "unknown here" if size is None else f"{size:.0f} MB"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _pair(figures: Figures, unit: str) -> str:
    return f"{figures['p50_ms']:.0f} / {figures['p95_ms']:.0f} {unit}"


def plot(figures: Figures) -> str:
    """What clients that are answered see, by how many of them ask at once; an SVG file."""
    rows = figures["throughput"]
    shown = {"p50_ms": "p50, ms", "p95_ms": "p95, ms", "questions_per_s": "questions a second"}
    return growth_plot(
        "Time and throughput by number of clients",
        ("clients at once", "see the names"),
        {name: [(row["clients"], row[field]) for row in rows] for field, name in shown.items()},
    )


def memory_mb(pid: int, field: Literal["VmRSS", "VmHWM"]) -> float | None:
    """The memory a process holds, or the most it has held, in MB; None where /proc does not
    say."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", status.read_text(), re.M)
    return int(found[1]) / 1000 if found else None


def _command_seconds(settings: Settings, *arguments: str) -> float:
    """The wall-clock time of a command in a process of its own."""
    began = time.perf_counter()
    run = subprocess.run(
        _command(*arguments),
        env=_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise XhqaError(f"`xhqa {' '.join(arguments)}` failed: {run.stderr.strip()}")
    return time.perf_counter() - began


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "xhqa.cli", *arguments]


def _environment(settings: Settings) -> dict[str, str]:
    # Every question is to be worked out each time, and nobody else comes in.
    fixed = {
        "XHQA_INDEX_DIR": str(settings.index_dir.resolve()),
        "XHQA_KEPT_ANSWERS": "0",
        "XHQA_API_KEYS": "",
    }
    return os.environ | fixed


@contextmanager
def _serving(settings: Settings) -> Iterator[Server]:
    """``xhqa serve`` on a free port, stopped at the end."""
    began = time.perf_counter()
    process = subprocess.Popen(
        _command("serve", "--port", "0"),
        env=_environment(settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    # A server that never says its address is not waited for forever.
    watch = threading.Timer(_READY_SECONDS, process.kill)
    watch.start()
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if found := _ADDRESS.search(line):
                break
        else:
            raise XhqaError(f"the server did not start: {' '.join(said).strip()}")
        _wait_until_ready(found[1], process)
        watch.cancel()
        # Its log must not fill the pipe.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield Server(found[1], process.pid, began, time.perf_counter() - began)
    finally:
        watch.cancel()
        process.terminate()
        process.wait()


def _wait_until_ready(address: str, process: subprocess.Popen[str]) -> None:
    while True:
        try:
            with _direct.open(f"{address}/health/ready", timeout=_READY_SECONDS):
                return
        except (urllib.error.URLError, ConnectionError) as error:
            if process.poll() is not None:
                raise XhqaError(f"the server stopped: {error}") from error
            time.sleep(0.02)


def _asking(address: str) -> Ask:
    def ask(question: str) -> Reply:
        request = urllib.request.Request(
            f"{address}/ask",
            json.dumps({"question": question}).encode(),
            {"Content-Type": "application/json"},
        )
        refused = 0
        while True:
            began = time.perf_counter()
            try:
                with _direct.open(request, timeout=_READY_SECONDS) as response:
                    stages: dict[str, float] = json.load(response)["timings_ms"]
                return Reply(stages, (time.perf_counter() - began) * 1000, refused)
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.TOO_MANY_REQUESTS:
                    raise
                refused += 1
                # Spread, or all that were refused together come back together and most in vain.
                time.sleep(float(error.headers["Retry-After"]) * random.uniform(1, 2))

    return ask


def _indexing(settings: Settings) -> Figures:
    """Builds an index of the texts in use anew, in a folder of its own."""
    encoder = encoder_of(settings)
    encoder.encode_passages(["warm"])
    pipeline = Pipeline.open(settings=settings, encoder=encoder)
    texts = [pipeline.document(info.id).text for info in pipeline.documents()]
    with tempfile.TemporaryDirectory() as name:
        files = Path(name) / "texts"
        files.mkdir()
        for number, text in enumerate(texts):
            (files / f"{number}.txt").write_text(text, "utf-8")
        began = time.perf_counter()
        here = {"store": "faiss", "index_dir": Path(name) / "index"}
        index, _ = build_index([files], encoder, settings.model_copy(update=here))
        seconds = time.perf_counter() - began
        tokens = sum(encoder.count_tokens([index.chunk(n).text for n in range(len(index))]))
    return {"chunks_per_s": len(index) / seconds, "tokens_per_s": tokens / seconds}
