// The document pane: scrolls to the mark it was rendered for, or to one that is chosen.
// `element`, `trigger` and `watch` are Gradio's (gr.HTML, js_on_load).
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const root = document.getElementById("xh-pane");
let chosen = false;

function reveal(anchor, smooth) {
  const mark = anchor && document.getElementById(anchor);
  if (!mark || !root.contains(mark)) return false;
  const scroll = mark.closest(".xh-scroll");
  const down = mark.getBoundingClientRect().top - scroll.getBoundingClientRect().top;
  const top = scroll.scrollTop + down - scroll.clientHeight * 0.35;
  scroll.scrollTo({ top, behavior: smooth && !calm ? "smooth" : "auto" });
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

root.addEventListener("xh-show", (event) => {
  chosen = true;
  if (!reveal(event.detail, true)) return;
  event.preventDefault();
  chosen = false;
  bringIntoView();
});

element.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-document]");
  if (!link) return;
  event.preventDefault();
  chosen = true;
  trigger("click", { document: link.dataset.document });
});

watch("value", () => {
  const pane = element.querySelector(".xh-pane");
  const scroll = element.querySelector(".xh-scroll");
  if (!reveal(pane && pane.dataset.focus, false) && scroll) scroll.scrollTop = 0;
  if (chosen) bringIntoView();
  chosen = false;
});
