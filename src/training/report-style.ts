/** The style sheet of the training report: one column on a phone, light and dark by the reader's setting. */
export const REPORT_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --card: #ffffff; --ink: #1d2126; --quiet: #5a636e; --rule: #d9dde2;
  --training: #1f5fbf; --validation: #b3530f; --third: #2c7a4b; --right: #2c7a4b; --wrong: #c0392b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --card: #1c2026; --ink: #e6e9ec; --quiet: #a3adb8; --rule: #363d46;
    --training: #7db3ff; --validation: #ffae6b; --third: #7fd3a0; --right: #58b583; --wrong: #ff8a7a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem; text-wrap: balance; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; margin: 0 0 1.25rem; }
a { color: var(--training); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; padding: 1rem; margin: 0 0 1rem; }
:focus-visible { outline: 3px solid var(--training); outline-offset: 2px; border-radius: .2rem; }
.results { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem 1.25rem; margin: 0; }
.results dt { color: var(--quiet); font-size: .85rem; }
.results dd { margin: 0; font-size: 1.35rem; font-weight: 600; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem; margin: 0 0 1rem; }
.charts section { margin: 0; min-width: 0; }
@media (min-width: 64rem) { .charts section:last-child:nth-child(odd) { grid-column: 1 / -1; } }
.plot { position: relative; min-height: 16.5rem; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem .5rem; margin: 0 0 .5rem; }
button {
  font: inherit; font-size: .85rem; color: var(--ink); background: transparent; border: 1px solid var(--rule);
  border-radius: 1rem; padding: .2rem .7rem; min-height: 2rem; cursor: pointer;
}
button[aria-pressed=false] { color: var(--quiet); text-decoration: line-through; }
button.scale { margin-left: auto; text-decoration: none; }
button.scale[aria-pressed=true] { border-color: var(--training); }
.swatch { display: inline-block; width: 1.6em; margin-right: .45em; vertical-align: middle; border-top: 3px solid; }
.swatch.points { border-top-style: dashed; }
output { display: block; min-height: 3em; margin-top: .25rem; color: var(--quiet); font-size: .85rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; max-width: 100%; }
.tall { max-height: 28rem; overflow-y: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
thead th { color: var(--quiet); font-weight: 600; }
.tall thead th { position: sticky; top: 0; background: var(--card); }
.options { columns: 22rem; column-gap: 2rem; margin: 0; }
.options div { display: flex; justify-content: space-between; gap: 1rem; break-inside: avoid; padding: .2rem 0; border-bottom: 1px solid var(--rule); }
.options dt { color: var(--quiet); }
.options dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
p.note { color: var(--quiet); font-size: .85rem; margin: 0 0 .4rem; }
.confusion th[scope=row] { position: sticky; left: 0; background: var(--card); }
.confusion td { background: color-mix(in srgb, var(--wrong) calc(var(--share) * 45%), transparent); }
.confusion td.right { background: color-mix(in srgb, var(--right) calc(var(--share) * 40%), transparent); font-weight: 600; }
.confusion td.none { color: var(--quiet); }
pre { margin: 0; font: .85rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
summary { cursor: pointer; font-weight: 600; font-size: 1.1rem; }
details > :not(summary) { margin-top: .75rem; }
@media (max-width: 40rem) {
  body { padding: 1rem .6rem 3rem; }
  section { padding: .75rem .6rem; }
  h1 { font-size: 1.3rem; }
  .results dd { font-size: 1.15rem; }
  .results { grid-template-columns: 1fr 1fr; }
  .confusion th, .confusion td { padding: .25rem .3rem; font-size: .85rem; }
}
@media print { nav, button.scale, output { display: none; } body { max-width: none; } }
`
