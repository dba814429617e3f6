"""Measures the time from Enter to the marked span, over what the API itself took.

python tests/ui/latency.py http://127.0.0.1:8000/ [NUMBER OF QUESTIONS]
"""

from __future__ import annotations

import statistics
import sys

from playwright.sync_api import sync_playwright
from xhqa_eval.questions import load_questions

# From the key to the first frame in which the newest turn's mark is in the pane.
_WAIT = """(turn) => new Promise((resolve) => {
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const began = performance.now();
    const look = () => {
      const refused = document.querySelector(`.xh-turn:nth-of-type(${turn}) .xh-refused`);
      if (refused) resolve(null);
      else if (document.getElementById(`xh-c${turn}-1`)) resolve(performance.now() - began);
      else requestAnimationFrame(look);
    };
    look();
  }, { capture: true, once: true });
})"""


def main(address: str, count: int) -> None:
    asked = [q.question for q in load_questions() if q.kind == "factual"]
    above: list[float] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(locale="zh-CN", viewport={"width": 1440, "height": 900})
        page.goto(address)
        page.locator(".xh-hint").first.wait_for(timeout=60_000)
        for question in asked:
            if len(above) == count:
                break
            page.get_by_role("button", name="新对话").click()
            page.wait_for_selector(".xh-welcome")
            page.locator("#xh-ask textarea").fill(question)
            page.evaluate(f"window.measured = ({_WAIT})(1); null")
            page.keyboard.press("Enter")
            took = page.evaluate("window.measured")
            if took is not None:
                meta = page.locator(".xh-meta").last.inner_text()
                seconds = float("".join(c for c in meta.split("用时")[1] if c in "0123456789."))
                above.append(took - seconds * 1000)
        chromium.close()
    print(f"{len(above)} questions: p50 {statistics.median(above):.0f} ms above the API's own time")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 30)
