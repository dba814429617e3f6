// Questions for a newcomer: one is asked by choosing it.
// `element` and `trigger` are Gradio's (gr.HTML, js_on_load).
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-question]");
  if (button) trigger("submit", { act: "ask", question: button.dataset.question });
});
