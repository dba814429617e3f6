// Adding documents: chosen with the button or dropped anywhere on the page, one after the other.
// `element` and `trigger` are Gradio's (gr.HTML, js_on_load).
const POLL = 500;
const BUSY_PAUSE = 1500;
const BUSY_TRIES = 40;
const DONE_SHOWN = 8000;

const page = document.querySelector(".gradio-container");
const rows = document.createElement("ul");
rows.id = "xh-uploads";
rows.setAttribute("role", "status");
page.append(rows);
const waiting = [];
let working = false;

element.addEventListener("click", (event) => {
  if (event.target.closest("button")) element.querySelector("input").click();
});
element.addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = ""; // so that the same file can be chosen again
});
// The pane says so when it has removed a document.
document
  .getElementById("xh-add")
  .addEventListener("xh-changed", () => trigger("submit", { document: null }));

const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  page.dataset.drop = words().drop;
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) delete page.dataset.drop;
});
document.addEventListener("drop", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  delete page.dataset.drop;
  take(event.dataTransfer.files);
});

function words() {
  return JSON.parse(element.querySelector("button").dataset.words);
}

function take(files) {
  for (const file of files) waiting.push([file, addRow(file.name)]);
  work();
}

async function work() {
  if (working) return;
  working = true;
  const added = [];
  while (waiting.length) {
    const [file, row] = waiting.shift();
    const info = await add(file, row);
    if (info) added.push(info.id);
  }
  working = false;
  if (added.length) trigger("submit", { document: added.length === 1 ? added[0] : null });
}

async function add(file, row) {
  for (let tries = 1; ; tries += 1) {
    const { status, body } = await send(file, row);
    if (status === 201) {
      say(row, "done", words().added);
      setTimeout(() => row.remove(), DONE_SHOWN);
      return body;
    }
    if (status !== 409 || tries === BUSY_TRIES) {
      say(row, "failed", [words()[status], body?.detail].filter(Boolean).join("：") || words().failed);
      return null;
    }
    say(row, "busy", words().waiting);
    await new Promise((resume) => setTimeout(resume, BUSY_PAUSE));
  }
}

function send(file, row) {
  return new Promise((resolve) => {
    let timer;
    const request = new XMLHttpRequest();
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => say(row, "busy", words().sending, loaded / total);
    request.upload.onload = () => {
      say(row, "busy", words().indexing);
      timer = setInterval(() => follow(row, () => request.readyState < 4), POLL);
    };
    request.onloadend = () => {
      clearInterval(timer);
      resolve({ status: request.status, body: request.response });
    };
    request.open("POST", "documents");
    const form = new FormData();
    form.append("file", file);
    request.send(form);
  });
}

async function follow(row, running) {
  const response = await fetch("progress");
  const { stage, done, total } = await response.json();
  if (running() && stage && total) say(row, "busy", words().indexing, done / total);
}

function addRow(name) {
  const row = document.createElement("li");
  const title = document.createElement("strong");
  const said = document.createElement("span");
  const bar = document.createElement("progress");
  const close = document.createElement("button");
  title.textContent = name;
  said.textContent = words().waiting;
  close.textContent = "×";
  close.type = "button";
  close.setAttribute("aria-label", words().dismiss);
  close.addEventListener("click", () => row.remove());
  bar.setAttribute("aria-label", name);
  row.append(title, close, said, bar);
  row.dataset.state = "busy";
  rows.append(row);
  return row;
}

// `share` of 1, or none where it is not known how much there is to do.
function say(row, state, text, share) {
  const bar = row.querySelector("progress");
  row.dataset.state = state;
  row.querySelector("span").textContent = text;
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
}
