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

function toTalk() {
  const turns = document.querySelectorAll("#xh-talk .xh-turn");
  const last = turns[turns.length - 1] ?? document.getElementById("xh-talk");
  last.scrollIntoView({ block: "end", behavior: calm ? "auto" : "smooth" });
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
  const button = event.target.closest("button");
  if (button?.dataset.shelf !== undefined) trigger("click", { shelf: true });
  else if (button?.dataset.up !== undefined) toTalk();
  else if (button?.dataset.remove) remove(button);
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

// The first click asks, the second removes.
async function remove(button) {
  if (button.dataset.asked === undefined) {
    button.dataset.asked = "";
    button.textContent = button.dataset.really;
    button.addEventListener("blur", () => {
      delete button.dataset.asked;
      button.textContent = "×";
    }, { once: true });
    return;
  }
  button.disabled = true;
  const path = `documents/${encodeURIComponent(button.dataset.remove)}`;
  const response = await fetch(path, { method: "DELETE" });
  if (response.ok || response.status === 404) {
    document.getElementById("xh-add").dispatchEvent(new Event("xh-changed"));
    return;
  }
  button.disabled = false;
  button.textContent = (await response.json()).detail;
}
