"""A server under load: ``python tests/load.py overload http://127.0.0.1:8000 --pid PID``.

``overload``: first one question at a time, which gives the unloaded times and the capacity; then
``--times`` (4) the capacity for ``--seconds``, at random moments whether or not earlier ones are
answered; then one at a time again. ``soak``: ``--times`` (say 0.7) the capacity for ``--seconds``
while a document is added and removed all the time. Prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from statistics import linear_regression
from typing import Any

import httpx2
from xhqa_eval.metrics import percentile
from xhqa_eval.questions import load_questions

QUESTIONS = [q.question for q in load_questions() if not q.history]


async def ask(client: httpx2.AsyncClient, question: str) -> tuple[int, float, bool]:
    """Status, seconds, and whether a refusal says when to try again."""
    began = time.perf_counter()
    answer = await client.post("/ask", json={"question": question})
    spent = time.perf_counter() - began
    return answer.status_code, spent, "retry-after" in answer.headers


async def one_at_a_time(client: httpx2.AsyncClient, count: int) -> list[float]:
    times = []
    for question in QUESTIONS[:count]:
        status, spent, _ = await ask(client, question)
        assert status == 200, status
        times.append(spent)
    return times


async def watch(client: httpx2.AsyncClient, pause: float) -> list[float]:
    """How long ``/health/live`` takes, again and again until cancelled."""
    times: list[float] = []
    try:
        while True:
            began = time.perf_counter()
            (await client.get("/health/live")).raise_for_status()
            times.append(time.perf_counter() - began)
            await asyncio.sleep(pause)
    except asyncio.CancelledError:
        return times


async def overload(
    client: httpx2.AsyncClient, rate: float, seconds: float
) -> list[tuple[int, float, bool]]:
    """``rate`` questions a second on average, as a Poisson process."""
    rng = random.Random(1)
    tasks = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        tasks.append(asyncio.create_task(ask(client, rng.choice(QUESTIONS))))
        await asyncio.sleep(rng.expovariate(rate))
    return await asyncio.gather(*tasks)


async def soak(address: str, times: float, seconds: float, count: int, pid: int) -> Any:
    async with httpx2.AsyncClient(base_url=address, timeout=120) as client:
        await one_at_a_time(client, len(QUESTIONS))
        before = await one_at_a_time(client, count)
        pause = sum(before) / len(before) / times
        rng = random.Random(1)
        began = time.perf_counter()
        statuses: Counter[int] = Counter()
        memory: list[tuple[float, float]] = []
        changes = 0

        async def change() -> None:
            nonlocal changes
            while True:
                text = f"第{changes}号公告。图书馆周一闭馆。" * 20
                files = {"file": ("公告.txt", text.encode())}
                added = await client.post("/documents", files=files)
                gone = await client.delete("/documents/公告")
                assert (added.status_code, gone.status_code) == (201, 204), (added, gone)
                changes += 1
                await asyncio.sleep(10)

        changing = asyncio.create_task(change())
        while (now := time.perf_counter() - began) < seconds and not changing.done():
            memory.append((now, rss_mb(pid) or 0.0))
            status, spent, _ = await ask(client, rng.choice(QUESTIONS))
            statuses[status] += 1
            await asyncio.sleep(max(0.0, pause - spent))
        changing.cancel()
        with suppress(asyncio.CancelledError):
            await changing
    settled = [(at, mb) for at, mb in memory if at > seconds / 6]
    slope = linear_regression(*zip(*settled, strict=True)).slope
    return {
        "questions_per_s": round(1 / pause, 2),
        "statuses": dict(statuses),
        "documents_added_and_removed": changes,
        "rss_mb": [round(settled[0][1]), round(settled[-1][1])],
        "rss_slope_mb_per_hour": round(slope * 3600, 2),
    }


def rss_mb(pid: int) -> float | None:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1000 if found else None


async def trial(address: str, times: float, seconds: float, count: int, pid: int) -> Any:
    limits = httpx2.Limits(max_connections=None)
    async with (
        httpx2.AsyncClient(base_url=address, timeout=120, limits=limits) as client,
        httpx2.AsyncClient(base_url=address, timeout=120) as other,
    ):
        # What is cached, and what memory it takes, from then on is part of a server.
        await one_at_a_time(client, len(QUESTIONS))
        before = await one_at_a_time(client, count)
        memory = rss_mb(pid)
        capacity = len(before) / sum(before)
        watching = asyncio.create_task(watch(other, 0.25))
        done = await overload(client, times * capacity, seconds)
        watching.cancel()
        live = await watching
        grown = rss_mb(pid)
        after = await one_at_a_time(client, count)
    accepted = [spent for status, spent, _ in done if status == 200]
    unloaded = percentile(before, 95)
    return {
        "capacity_per_s": round(capacity, 2),
        "unloaded_p95_s": round(unloaded, 3),
        "statuses": dict(Counter(status for status, _, _ in done)),
        "refusals_without_retry_after": sum(s == 429 and not told for s, _, told in done),
        "accepted_p95_s": round(percentile(accepted, 95), 3),
        "accepted_p95_over_unloaded": round(percentile(accepted, 95) / unloaded, 2),
        "live_p95_ms": round(percentile(live, 95) * 1000, 1),
        "live_max_ms": round(max(live) * 1000, 1),
        "rss_mb": [memory, grown],
        "afterwards_p95_over_unloaded": round(percentile(after, 95) / unloaded, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trial", choices=("overload", "soak"))
    parser.add_argument("address")
    parser.add_argument("--times", type=float, default=4.0)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--pid", type=int, required=True)
    a = parser.parse_args()
    run = soak if a.trial == "soak" else trial
    print(json.dumps(asyncio.run(run(a.address, a.times, a.seconds, a.count, a.pid)), indent=1))


if __name__ == "__main__":
    main()
