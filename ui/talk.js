// The conversation: a chip shows its mark in the pane; a new reply comes into view.
// `element`, `trigger` and `watch` are Gradio's (gr.HTML, js_on_load).
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

element.setAttribute("role", "log"); // screen readers say what is added
element.setAttribute("aria-label", "对话");

element.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-anchor]");
  if (!link) return;
  event.preventDefault();
  const anchor = link.dataset.anchor;
  const wanted = new CustomEvent("xh-show", { detail: anchor, cancelable: true });
  // The pane cancels the event when it holds the mark; otherwise the server is asked for it.
  if (document.getElementById("xh-pane").dispatchEvent(wanted)) trigger("click", { anchor });
});

watch("value", () => {
  const last = element.querySelector(".xh-turn:last-of-type");
  if (last) last.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  // A new conversation: ready to type, but on a phone that would open the keyboard over the page.
  else if (matchMedia("(min-width: 900px)").matches) box()?.focus();
});

function box() {
  return document.querySelector("#xh-ask textarea");
}
