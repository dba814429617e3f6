// Marks the place that the address names: #char=START,END as in RFC 5147, in code points.
// JavaScript counts UTF-16 units, of which a character beyond U+FFFF has two.
"use strict";
const holder = document.getElementById("text");
const text = holder.textContent;
const tools = document.querySelector(".tools");
const notice = document.querySelector(".notice");
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const WIDE = "[\\u2e80-\\u9fff\\uf900-\\ufaff\\uff00-\\uffef\\u2014\\u2018-\\u201d\\u2026]";

function place(fragment) {
  const match = /^#char=(\d{0,12})(?:(,)(\d{0,12}))?(?:;.*)?$/.exec(fragment);
  if (!match || (match[1] === "" && !match[3])) return null;
  const start = Number(match[1] || 0);
  if (!match[2]) return { start, end: start };
  return { start, end: match[3] === "" ? Infinity : Number(match[3]) };
}

// The UTF-16 offsets of two code point offsets; null where the text does not reach so far.
function units({ start, end }) {
  let points = 0;
  let at = 0;
  let from = null;
  for (;;) {
    if (points === start) from = at;
    if (points === end) return from === null ? null : [from, at];
    if (at >= text.length) break;
    at += text.codePointAt(at) > 0xffff ? 2 : 1;
    points += 1;
  }
  return from !== null && end === Infinity && from < at ? [from, at] : null;
}

function show() {
  holder.textContent = text;
  notice.textContent = "";
  tools.hidden = true;
  if (!location.hash.startsWith("#char=")) return;
  const asked = place(location.hash);
  const range = asked && asked.start <= asked.end ? units(asked) : null;
  if (!range) {
    notice.textContent = notice.dataset.outside;
    return;
  }
  const [from, to] = range;
  const mark = document.createElement(from === to ? "span" : "mark");
  mark.id = "place";
  mark.textContent = text.slice(from, to);
  holder.replaceChildren(text.slice(0, from), mark, text.slice(to));
  tools.hidden = from === to;
  if (from !== to) mark.tabIndex = -1;
  mark.dataset.start = asked.start;
  reveal(from === to ? "start" : "center");
}

function reveal(block) {
  const mark = document.getElementById("place");
  if (!mark) return;
  mark.scrollIntoView({ block, behavior: calm ? "auto" : "smooth" });
  if (block === "center") mark.focus({ preventScroll: true });
}

// The marked words without what the page's layout put between them.
function tidy(words) {
  return words
    .trim()
    .replace(new RegExp(`(${WIDE})\\s+(?=${WIDE})`, "gu"), "$1")
    .replace(new RegExp(`(${WIDE})\\s*[\\r\\n]\\s*|\\s*[\\r\\n]\\s*(?=${WIDE})`, "gu"), "$1")
    .replace(/\s*[\r\n]\s*/g, " ");
}

function quotation() {
  const mark = document.getElementById("place");
  const start = Number(mark.dataset.start);
  let section = "";
  for (const link of document.querySelectorAll("nav a")) {
    if (Number(link.dataset.start) <= start) section = "·" + link.textContent;
  }
  return `“${tidy(mark.textContent)}”——《${holder.dataset.title}》${section}`;
}

async function copy(words) {
  // Only secure origins have a clipboard; a server in the local network is none.
  if (navigator.clipboard) return navigator.clipboard.writeText(words);
  const box = document.createElement("textarea");
  box.value = words;
  document.body.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  if (!done) throw new Error("copy was refused");
}

document.getElementById("back").addEventListener("click", () => reveal("center"));
document.getElementById("copy").addEventListener("click", async (event) => {
  const { copied, failed } = event.currentTarget.dataset;
  try {
    await copy(quotation());
    notice.textContent = copied;
  } catch {
    notice.textContent = failed;
  }
});
addEventListener("hashchange", show);
show();
