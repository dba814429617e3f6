"""Requests that nobody should send: ``python tests/fuzz.py http://127.0.0.1:8000 --count 20000``.

Bodies begin as good ones and are changed at random, as JSON and as bytes. Any 5xx, and any answer
that takes over ``--seconds``, ends the trial with the request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections import Counter
from typing import Any

import httpx2

from xhqa.progress import Bar

_ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 10**400, "", " ", "\0", "\ud800", "徐汇" * 600, [], {}, [[[[]]]],
    {"": ""}, "\u202e", "a" * 5000, [None] * 50, {"type": "text", "text": 7},
)  # fmt: skip
_BODIES: dict[str, Any] = {
    "/ask": {
        "question": "徐汇有多少家大模型企业？",
        "history": [{"question": "一？", "answer": None}],
        "top_k": 5,
        "document_ids": ["xuhui-five-years"],
    },
    "/v1/chat/completions": {
        "model": "xhqa",
        "messages": [
            {"role": "system", "content": "x"},
            {"role": "user", "content": [{"type": "text", "text": "有多少家？"}]},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.2,
    },
}
_NAMES = ("a.txt", "a.pdf", "a.docx", "a.xlsx", "a.epub", "a.html", "a.csv", "../x.md", "\0", "")
_TYPES = ("application/json", "text/plain", "", "application/json; charset=utf-16", "a/b/c")


def mutated(value: Any, rng: random.Random) -> Any:
    """``value`` with one part of it replaced, taken out, doubled or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        kind = rng.random()
        rest = {k: v for k, v in value.items() if k != key}
        if kind < 0.1:
            return rest
        if kind < 0.2:
            return rest | {key + "x": value[key]}
        return rest | {key: mutated(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        if rng.random() < 0.2:
            return value * rng.choice((2, 30))
        return [*value[:at], mutated(value[at], rng), *value[at + 1 :]]
    return rng.choice(_ODD)


def garbled(body: bytes, rng: random.Random) -> bytes:
    """``body`` with some bytes changed, cut or put in."""
    changed = bytearray(body)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(changed) + 1)
        kind = rng.random()
        if kind < 0.5 and at < len(changed):
            changed[at] = rng.randrange(256)
        elif kind < 0.7:
            del changed[at:]
        else:
            changed[at:at] = rng.randbytes(rng.randint(1, 8))
    return bytes(changed)


def request(rng: random.Random) -> dict[str, Any]:
    """Arguments for ``httpx2.AsyncClient.request``."""
    path = rng.choice((*_BODIES, "/documents"))
    if path == "/documents":
        data = rng.choice(
            (b"", "乙村种植水稻。".encode(), b"%PDF-1.7\n", b"PK\x03\x04", b"\xff\xfe")
        )
        data += rng.randbytes(rng.choice((0, 0, 20, 2000)))
        files = {rng.choice(("file", "file", "file", "x")): (rng.choice(_NAMES), data)}
        return {"method": "POST", "url": path, "files": files}
    value = _BODIES[path]
    for _ in range(rng.randint(0, 3)):
        value = mutated(value, rng)
    content = json.dumps(value).encode()
    if rng.random() < 0.3:
        content = garbled(content, rng)
    kind = rng.choice(_TYPES) if rng.random() < 0.1 else _TYPES[0]
    method = rng.choice(("PUT", "DELETE", "GET")) if rng.random() < 0.02 else "POST"
    return {"method": method, "url": path, "content": content, "headers": {"Content-Type": kind}}


async def trial(address: str, count: int, seconds: float, seed: int) -> Counter[tuple[str, int]]:
    """How often each path gave each status."""
    rng = random.Random(seed)
    seen: Counter[tuple[str, int]] = Counter()
    async with httpx2.AsyncClient(base_url=address, timeout=seconds) as client:
        with Bar() as progress:
            for number in range(count):
                if number % 100 == 0:
                    progress("fuzz", number, count)
                sent = request(rng)
                answer = await client.request(**sent)
                seen[sent["url"], answer.status_code] += 1
                assert answer.status_code < 500, (sent, answer.text)
                if sent["url"] == "/documents" and answer.status_code == 201:
                    gone = await client.delete(answer.headers["location"])
                    assert gone.status_code == 204, (sent, gone.text)
        (await client.get("/health/ready")).raise_for_status()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    for (path, status), times in sorted(
        asyncio.run(trial(a.address, a.count, a.seconds, a.seed)).items()
    ):
        print(path, status, times)


if __name__ == "__main__":
    main()
