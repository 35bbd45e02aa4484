--- The page's style: one calm column of things on a phone, two on a desk; light and dark.
return [==[
:root {
  color-scheme: light dark;
  --ground: #f5f6f8; --sheet: #ffffff; --line: #dfe3e9; --soft: #eef1f5;
  --ink: #1b2330; --faint: #5d6878; --accent: #2f5bd8; --on-accent: #ffffff;
  --good: #177245; --good-soft: #e2f3ea; --bad: #b3261e; --bad-soft: #fbe7e5;
  --wait: #8a5a00; --wait-soft: #fdf1d8; --calm: #44536a; --calm-soft: #e8ecf2;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, monospace;
  --shadow: 0 1px 2px rgb(20 30 50 / 6%), 0 1px 6px rgb(20 30 50 / 4%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10141a; --sheet: #181e27; --line: #2b3442; --soft: #212935;
    --ink: #e6eaf0; --faint: #9aa6b6; --accent: #8aa9ff; --on-accent: #0d1420;
    --good: #6fd39e; --good-soft: #16342a; --bad: #ff9d94; --bad-soft: #3c2021;
    --wait: #f0c062; --wait-soft: #382c14; --calm: #b9c4d4; --calm-soft: #283140;
    --shadow: none;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 5rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1, h2, h3, p, ol, pre { margin: 0; padding: 0; }
h1 { font-size: 1.0625rem; font-weight: 650; letter-spacing: -.01em; }
h1 span { font-weight: 400; color: var(--faint); }
h2 { font-size: 1rem; font-weight: 650; letter-spacing: -.005em; }
h3 { font-size: .9375rem; font-weight: 600; }
ol { list-style: none; }
a { color: inherit; }
[hidden] { display: none !important; }
.mono, pre, .number { font-family: var(--mono); font-size: .8125rem; }
.faint { color: var(--faint); }
.small { font-size: .8125rem; }
.money { font-variant-numeric: tabular-nums; font-weight: 600; white-space: nowrap; }

/* What can be pressed */
button, select, input {
  font: inherit; color: inherit; border: 1px solid var(--line); border-radius: 7px;
  background: var(--sheet); min-height: 2.25rem; padding: .3rem .75rem; max-width: 100%;
}
button {
  cursor: pointer; font-size: .875rem; font-weight: 550; white-space: nowrap;
  background: var(--accent); border-color: var(--accent); color: var(--on-accent);
}
button.quiet { background: var(--sheet); border-color: var(--line); color: var(--ink); }
button.small { min-height: 1.875rem; padding: .1rem .6rem; font-size: .8125rem; }
button:hover { filter: brightness(1.06); }
button.quiet:hover { background: var(--soft); filter: none; }
button:disabled { opacity: .5; cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
select, input { width: 100%; }
input[type="checkbox"] { width: auto; min-height: 0; margin: .2rem .5rem 0 0; }
label { display: block; font-size: .8125rem; color: var(--faint); }
label > select, label > input:not([type="checkbox"]) {
  display: block; margin-top: .2rem; font-size: .9375rem; color: var(--ink);
}
label.check { display: flex; align-items: flex-start; }

/* The frame */
.top {
  position: sticky; top: 0; z-index: 2; display: flex; align-items: center; gap: .5rem 1rem;
  flex-wrap: wrap; padding: .625rem clamp(1rem, 3vw, 2rem); background: var(--sheet);
  border-bottom: 1px solid var(--line);
}
.brand { display: flex; align-items: center; gap: .6rem; }
.mark {
  width: 1.625rem; height: 1.125rem; border-radius: 4px; background: var(--accent);
  box-shadow: inset 0 -.3rem 0 rgb(0 0 0 / 22%);
}
.live { font-size: .8125rem; color: var(--faint); display: flex; align-items: center; }
.live::before {
  content: ""; width: .5rem; height: .5rem; border-radius: 50%; background: var(--wait);
  margin-right: .4rem;
}
.live.on::before { background: var(--good); }
.live.off::before { background: var(--bad); }
.top nav { display: none; gap: 1rem; font-size: .875rem; }
.top nav a { text-decoration: none; color: var(--faint); padding: .125rem 0; }
.top #reset { margin-left: auto; }
.merchants {
  display: flex; flex-wrap: wrap; gap: .625rem; padding: 1rem clamp(1rem, 3vw, 2rem) 0;
  max-width: 90rem; margin: 0 auto;
}
.merchant {
  flex: 1 1 18rem; min-width: 0; text-align: left; white-space: normal; font-weight: 400;
  background: var(--sheet); color: var(--ink); border-color: var(--line); padding: .625rem .875rem;
  box-shadow: var(--shadow); border-radius: 10px;
}
.merchant:hover { filter: none; border-color: var(--faint); }
.merchant[aria-pressed="true"] {
  border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent);
}
.merchant > span { display: block; }
.merchant .name { display: flex; gap: .5rem; align-items: center; font-weight: 600; }
.merchant .about { display: flex; flex-wrap: wrap; gap: 0 .875rem; font-size: .8125rem; }
main {
  display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.75rem; max-width: 90rem;
  margin: 0 auto; padding: 1.25rem clamp(1rem, 3vw, 2rem) 4rem;
}
.column { display: grid; gap: 1.75rem; align-content: start; min-width: 0; }
.title {
  display: flex; align-items: center; justify-content: space-between; gap: .75rem;
  min-height: 2.25rem; margin-bottom: .625rem;
}
.count { font-weight: 400; color: var(--faint); font-size: .875rem; margin-left: .25rem; }
.list { display: grid; gap: .625rem; }
.item, .panel, .empty {
  background: var(--sheet); border: 1px solid var(--line); border-radius: 10px;
  padding: .875rem 1rem; box-shadow: var(--shadow); min-width: 0;
}
.empty { border-style: dashed; box-shadow: none; color: var(--faint); font-size: .9375rem; }
.empty b { color: var(--ink); font-weight: 600; }
.empty pre { margin-top: .625rem; color: var(--ink); }
pre {
  white-space: pre-wrap; background: var(--soft); border-radius: 7px; padding: .625rem .75rem;
  line-height: 1.55;
}
.row { display: flex; align-items: center; gap: .375rem .625rem; flex-wrap: wrap; }
.row > .push { margin-left: auto; }
.buttons { display: flex; flex-wrap: wrap; gap: .5rem; }
.item > .buttons { margin-top: .75rem; }
.pill {
  display: inline-block; font-size: .75rem; font-weight: 600; line-height: 1.25rem;
  padding: 0 .5rem; border-radius: 999px; background: var(--calm-soft); color: var(--calm);
}
.pill.good { background: var(--good-soft); color: var(--good); }
.pill.bad { background: var(--bad-soft); color: var(--bad); }
.pill.wait { background: var(--wait-soft); color: var(--wait); }

/* Cards */
.cards { display: grid; gap: .5rem; margin-top: .75rem; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: .625rem .75rem; }
.card .buttons { margin-top: .5rem; }
.card.off { background: var(--soft); }

/* A purchase and its steps */
.steps { display: flex; flex-wrap: wrap; margin-top: .75rem; row-gap: .625rem; }
.step { position: relative; flex: 0 1 auto; padding: 1.125rem 1.75rem 0 0; font-size: .8125rem; }
.step::before {
  content: ""; position: absolute; top: .3125rem; left: 0; right: 0; height: 2px;
  background: var(--line);
}
.step:last-child::before { right: auto; width: .625rem; }
.step::after {
  content: ""; position: absolute; top: 0; left: 0; width: .75rem; height: .75rem;
  border-radius: 50%; background: var(--calm); border: 2px solid var(--sheet);
}
.step.good::after { background: var(--good); }
.step.bad::after { background: var(--bad); }
.step.wait::after { background: var(--wait); }
.step b { font-weight: 600; font-size: .875rem; margin-right: .375rem; }
.step p { color: var(--faint); }

/* A callback */
#callbacks .item { padding-block: .625rem; }
summary { cursor: pointer; list-style: none; border-radius: 6px; }
summary::-webkit-details-marker { display: none; }
summary .chevron { transition: transform .15s; color: var(--faint); }
details[open] > summary .chevron { transform: rotate(90deg); }
.detail { display: grid; gap: .625rem; margin-top: .75rem; }
.detail h3 { font-size: .8125rem; color: var(--faint); font-weight: 600; margin-bottom: .25rem; }
#break .panel { display: grid; gap: .75rem; margin-bottom: .625rem; }
#break .panel button { justify-self: start; }
#mend { margin-top: .625rem; }

/* What is asked and what is said */
dialog {
  width: min(26rem, calc(100vw - 2rem)); border: 1px solid var(--line); border-radius: 14px;
  padding: 1.25rem; background: var(--sheet); color: var(--ink);
  box-shadow: 0 12px 40px rgb(10 20 40 / 30%);
}
dialog::backdrop { background: rgb(10 16 28 / 45%); }
dialog .hint { color: var(--faint); font-size: .875rem; margin-top: .25rem; }
dialog .fields { display: grid; gap: .75rem; margin: 1rem 0 1.25rem; }
dialog .buttons { justify-content: flex-end; }
.said {
  position: fixed; z-index: 3; left: 50%; bottom: 1.25rem; transform: translateX(-50%);
  max-width: calc(100vw - 2rem); width: max-content; padding: .625rem 1rem; border-radius: 10px;
  background: var(--ink); color: var(--ground); font-size: .9375rem;
  box-shadow: 0 6px 24px rgb(10 20 40 / 28%);
}
.said.bad { background: var(--bad); color: var(--sheet); }
@media (prefers-reduced-motion: no-preference) {
  .fresh { animation: arrive 1.6s ease-out; }
  @keyframes arrive { from { border-color: var(--accent); background: var(--soft); } }
}
@media (max-width: 30rem) {
  .live span { display: none; }
  .top { padding-block: .5rem; }
}
@media (max-width: 59.99rem) {
  .top nav { display: flex; order: 3; width: 100%; justify-content: space-between; }
  html { scroll-padding-top: 7rem; }
  .column { display: contents; }
  #purchases { order: 1; }
  #callbacks { order: 2; }
  #break { order: 3; }
}
@media (max-width: 30rem) {
  .step { flex: 1 1 100%; padding: 0 0 .25rem 1.375rem; }
  .step::before {
    top: .5rem; bottom: -.625rem; left: .3125rem; right: auto; width: 2px; height: auto;
  }
  .step:last-child::before { display: none; }
  .step::after { top: .25rem; }
}
@media (min-width: 60rem) {
  main { grid-template-columns: minmax(20rem, 25rem) minmax(0, 1fr); }
}
]==]
