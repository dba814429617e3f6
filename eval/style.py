"""The style of report.html: system fonts, light and dark, from phone to desk."""

from __future__ import annotations

CSS = """
:root {
  color-scheme: light dark;
  --paper: #fcfbf9; --ink: #1d1c1a; --soft: #6b6760; --rule: #e2ded6;
  --accent: #1f5f8b; --bar: #a9c7dc; --wrong: #a8321f;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "PingFang SC",
    "Hiragino Sans GB", "Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #171614; --ink: #ebe8e2; --soft: #a09a90; --rule: #35322d;
    --accent: #82b8dc; --bar: #365a73; --wrong: #ef8f7c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 88rem; padding: 2.5rem clamp(1rem, 3vw, 3rem) 5rem;
  background: var(--paper); color: var(--ink); font: 1rem/1.55 var(--sans);
  -webkit-text-size-adjust: 100%;
}
:lang(zh-Hant) {
  font-family: system-ui, "PingFang TC", "Noto Sans CJK TC", "Source Han Sans TC",
    "Microsoft JhengHei", sans-serif;
}
h1 { font-size: clamp(1.4rem, 4vw, 2rem); line-height: 1.2; letter-spacing: -.01em; margin: 0; }
h2 { font-size: 1.15rem; margin: 3.25rem 0 .9rem; }
p { max-width: 44rem; margin: .4rem 0 1rem; }
.soft, .note, figcaption, th, dt { color: var(--soft); }
h1, h2, td, figcaption { overflow-wrap: anywhere; }
.headline { display: flex; flex-wrap: wrap; gap: 1.6rem 3rem; margin-top: 2.2rem; }
h3 { font-size: .8rem; font-weight: 600; margin: 0 0 .55rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--rule); }
dl { display: flex; flex-wrap: wrap; gap: .6rem 1.5rem; margin: 0; }
dl div { display: flex; flex-direction: column-reverse; }
dt { font-size: .8rem; line-height: 1.3; }
dd { margin: 0; font-size: 1.5rem; line-height: 1.25; font-weight: 600; }
dd, .number, svg text { font-variant-numeric: tabular-nums; }
.note { font-size: .8rem; max-width: 58rem; margin-top: 1.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th { font-weight: 500; text-align: left; vertical-align: bottom; }
th, td { padding: .45rem .65rem; border-bottom: 1px solid var(--rule); }
.number { text-align: right; white-space: nowrap; }
.groups { font-size: .8rem; }
.groups th, .groups td { padding: .4rem .22rem; }
.groups thead tr:first-child > * { border: 0; padding-bottom: 0; text-align: right; }
.groups thead th[colspan] { color: var(--ink); font-weight: 600; }
.groups tbody th { color: var(--ink); white-space: nowrap; position: sticky; left: 0;
  background: var(--paper); }
.groups tbody tr:first-child > * { font-weight: 600; }
.results { table-layout: fixed; }
.results td { vertical-align: top; }
.results .question { width: 36%; }
.results .short { width: 9.5rem; }
.results td small { display: block; color: var(--soft); overflow-wrap: anywhere; }
.wrong { color: var(--wrong); }
.plots { display: grid; gap: 2rem; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
figure { margin: 0; }
figcaption { font-size: .8rem; line-height: 1.45; margin-top: .4rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 11px var(--sans); fill: var(--soft); text-anchor: middle; }
svg .end { text-anchor: end; }
svg .count { font-size: 9px; fill: var(--ink); }
.grid { stroke: var(--rule); stroke-width: 1; }
.ideal { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; }
.bar { fill: var(--bar); }
.dot { fill: var(--accent); }
.curve { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
@media (max-width: 44rem) {
  .results, .results tbody, .results tr, .results td { display: block; width: auto; }
  .results thead { display: none; }
  .results tr { padding: .9rem 0; border-bottom: 1px solid var(--rule); }
  .results td { border: 0; padding: .1rem 0; text-align: left; }
  .results td[data-label] small { display: inline; margin-left: .8em; }
  .results td[data-label]::before { content: attr(data-label) "\\2002"; color: var(--soft); }
}
@media print { body { padding: 0; } .scroll { overflow: visible; } }
"""
