// The conversation: a chip shows its mark in the pane; a new reply comes into view.
// `element`, `trigger` and `watch` are Gradio's (gr.HTML, js_on_load).
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const wide = matchMedia("(min-width: 900px)");
let seen = null;

element.setAttribute("role", "log"); // screen readers say what is added

element.addEventListener("click", (event) => {
  const target = event.target.closest("a, button");
  if (!target) return;
  if (target.dataset.copy !== undefined) copy(target);
  else if (target.dataset.act) act(target);
  else if (target.dataset.anchor || target.dataset.document) show(event, target);
});

element.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  trigger("submit", {
    act: form.dataset.act,
    turn: Number(form.dataset.turn),
    answer: form.elements.answer.value,
  });
});

function act(button) {
  const { act: kind, turn, question } = button.dataset;
  trigger("submit", { act: kind, turn: turn ? Number(turn) : null, question: question ?? null });
  if (kind === "edit") box()?.focus();
}

function show(event, link) {
  // With a modifier key the browser opens the place's own address.
  if (link.target || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const detail = { anchor: link.dataset.anchor ?? null, document: link.dataset.document ?? null };
  const wanted = new CustomEvent("xh-show", { detail, cancelable: true });
  // The pane cancels the event when it holds the mark; otherwise the server is asked for it.
  if (document.getElementById("xh-pane").dispatchEvent(wanted)) trigger("click", detail);
}

async function copy(button) {
  const { copy: words, copied, failed } = button.dataset;
  let said = copied;
  try {
    await write(words);
  } catch {
    said = failed;
  }
  button.dataset.said = said;
  const status = element.querySelector(".xh-log");
  const live = document.createElement("span");
  live.className = "xh-sr";
  live.setAttribute("role", "status");
  live.textContent = said;
  status?.append(live);
  setTimeout(() => {
    delete button.dataset.said;
    live.remove();
  }, 1600);
}

async function write(words) {
  // Only secure origins have a clipboard; a server in the local network is none.
  if (navigator.clipboard) return navigator.clipboard.writeText(words);
  const area = document.createElement("textarea");
  area.value = words;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("copy was refused");
}

watch("value", () => {
  const log = element.querySelector(".xh-log");
  if (log) {
    element.setAttribute("aria-label", log.dataset.label);
    document.documentElement.lang = log.lang;
  }
  const turns = element.querySelectorAll(".xh-turn");
  const last = turns[turns.length - 1];
  // A verdict on an earlier answer must not move the page.
  const now = last ? `${turns.length} ${last.querySelector(".xh-reply")?.textContent}` : "";
  const changed = now !== seen;
  seen = now;
  if (!changed) return;
  if (last) last.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  // A new conversation: ready to type, but on a phone that would open the keyboard over the page.
  else if (wide.matches) box()?.focus();
});

function box() {
  return document.querySelector("#xh-ask textarea");
}
