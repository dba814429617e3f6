"""Takes the pictures of ``docs/screenshots/`` from a running server.

python tests/ui/screenshots.py http://127.0.0.1:8000/ [FOLDER]
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent.parent
LAPTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
QUESTION = "徐汇有多少家大模型企业？"
FOLLOW_UP = "那人工智能企业呢？"
UNANSWERED = "火星上有几座图书馆？"


def ask(page: Any, question: str) -> None:
    turns = page.locator(".xh-turn").count()
    page.locator("#xh-ask textarea").fill(question)
    page.keyboard.press("Enter")
    page.locator(".xh-turn").nth(turns).locator("article").wait_for()


def main(address: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )

        def opened(viewport: dict[str, int], scheme: str, locale: str = "zh-CN") -> Any:
            context = chromium.new_context(
                viewport=viewport, color_scheme=scheme, locale=locale, reduced_motion="reduce"
            )
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.goto(address)
            page.locator(".xh-hint").first.wait_for()
            return page

        def take(page: Any, name: str) -> None:
            page.wait_for_timeout(500)
            picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
            # A palette: a third of the size, and no difference to be seen.
            picture.quantize(128).save(folder / f"{name}.png", optimize=True)

        page = opened(LAPTOP, "light")
        take(page, "welcome")
        ask(page, QUESTION)
        take(page, "answer")
        ask(page, FOLLOW_UP)
        take(page, "follow-up")
        ask(page, UNANSWERED)
        page.locator(".xh-refused .xh-hint").first.wait_for()
        take(page, "refusal")
        page = opened(LAPTOP, "dark", "en-US")
        ask(page, "What sections are there?")
        ask(page, "What figure is Xuhui's GDP expected to exceed this year?")
        take(page, "answer-dark-english")
        ask(page, "summarize the document")
        take(page, "summary-dark-english")
        for scheme in ("light", "dark"):
            page = opened(PHONE, scheme)
            take(page, f"phone-welcome-{scheme}")
            ask(page, QUESTION)
            take(page, f"phone-answer-{scheme}")
            page.locator(".xh-chip").first.click()
            take(page, f"phone-document-{scheme}")
        page = opened(LAPTOP, "light")
        ask(page, QUESTION)
        link = page.locator("a.xh-mini").first.get_attribute("href")
        page.goto(address + link)
        take(page, "citation-address")
        chromium.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "screenshots")
