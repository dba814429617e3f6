// The document pane: scrolls to the mark it was rendered for, or to one that is chosen.
// `element`, `trigger` and `watch` are Gradio's (gr.HTML, js_on_load).
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const root = document.getElementById("xh-pane");
let chosen = false;

function reveal(anchor, smooth) {
  const mark = anchor && document.getElementById(anchor);
  if (!mark || !root.contains(mark)) return false;
  const scroll = mark.closest(".xh-scroll");
  const heading = anchor.startsWith("xh-h-");
  const down = mark.getBoundingClientRect().top - scroll.getBoundingClientRect().top;
  const top = scroll.scrollTop + down - scroll.clientHeight * (heading ? 0.05 : 0.35);
  scroll.scrollTo({ top, behavior: smooth && !calm ? "smooth" : "auto" });
  if (heading) return true;
  const cite = anchor.split("-").pop();
  for (const part of root.querySelectorAll(`[data-label][data-cites~="${cite}"]`)) {
    part.classList.remove("xh-flash");
    void part.offsetWidth; // so that the animation begins anew
    part.classList.add("xh-flash");
  }
  return true;
}

// On a phone the pane lies below the conversation: go there, but only when asked to.
function bringIntoView() {
  root.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}

// Whether the pane shows what is wanted: headings of two documents may have the same anchor.
function holds({ anchor, document: wanted }) {
  const shown = root.querySelector(".xh-pane")?.dataset.document;
  return (!wanted || wanted === shown) && reveal(anchor, true);
}

root.addEventListener("xh-show", (event) => {
  chosen = true;
  if (!holds(event.detail)) return;
  event.preventDefault();
  chosen = false;
  bringIntoView();
});

element.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-document]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const detail = { anchor: link.dataset.anchor ?? null, document: link.dataset.document };
  if (holds(detail)) return;
  chosen = true;
  trigger("click", detail);
});

watch("value", () => {
  const pane = element.querySelector(".xh-pane");
  const scroll = element.querySelector(".xh-scroll");
  if (!reveal(pane && pane.dataset.focus, false) && scroll) scroll.scrollTop = 0;
  if (chosen) bringIntoView();
  chosen = false;
});
