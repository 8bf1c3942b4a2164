# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The style of the report's page: light and dark, phone, desk and paper."""

from __future__ import annotations

_LIGHT = """
  color-scheme: light;
  --page: #f4f5f7; --card: #ffffff; --ink: #16202b; --muted: #566270; --line: #dce1e7; --track: #edf0f3;
  --accent: #3a63c8; --quiet: #93a3ba; --shade: #eef3fd;
  --good: #14703f; --good-soft: #e4f4ea; --bad: #b3261e; --bad-soft: #fcebe9; --doubt: #8a4a00; --doubt-soft: #fdf1e0;
"""

_DARK = """
  color-scheme: dark;
  --page: #0e1318; --card: #171e26; --ink: #e8edf2; --muted: #9fabb8; --line: #2e3843; --track: #232c36;
  --accent: #7ea4ff; --quiet: #66768c; --shade: #1c2637;
  --good: #5fd394; --good-soft: #12301f; --bad: #ff8f85; --bad-soft: #3a1a18; --doubt: #ffbb66; --doubt-soft: #35260f;
"""

_RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1, h2, p, ul, ol, dl, table, figure { margin: 0; }
h2 { font-size: 1.125rem; line-height: 1.3; letter-spacing: -.005em; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem;
  margin-top: 1rem; }
.card > * + * { margin-top: .75rem; }
.pair { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  margin-top: 1rem; }
.pair > .card { margin-top: 0; min-width: 0; }
.lead { color: var(--muted); font-size: .9375rem; }
.crumbs { color: var(--muted); font-size: .875rem; display: flex; flex-wrap: wrap; gap: .1rem 1.25rem;
  margin-bottom: .9rem; }
.crumbs b { color: var(--ink); font-weight: 600; }
.verdict { border-radius: 12px; padding: 1.5rem 1.25rem; border: 1px solid currentColor; display: grid;
  grid-template-columns: auto 1fr; gap: 1rem 1.25rem; align-items: start; }
.verdict .seal { width: 4rem; height: 4rem; border-radius: 50%; border: 3px solid currentColor;
  font-size: 2.2rem; font-weight: 700;
  display: grid; place-items: center; line-height: 1; }
.verdict h1 { font-size: clamp(1.9rem, 7vw, 3rem); line-height: 1.1; letter-spacing: -.02em; font-weight: 700; }
.verdict .about { color: var(--ink); margin-top: .35rem; }
.verdict ul { grid-column: 1 / -1; color: var(--ink); padding-left: 1.15rem; }
.verdict li + li { margin-top: .25rem; }
.good { color: var(--good); background: var(--good-soft); }
.bad { color: var(--bad); background: var(--bad-soft); }
.doubt { color: var(--doubt); background: var(--doubt-soft); }
.figures { display: flex; flex-wrap: wrap; gap: .5rem 2rem; }
.figures div { min-width: 6rem; }
.figures dt { color: var(--muted); font-size: .8125rem; }
.figures dd { margin: 0; font-size: 1.6rem; line-height: 1.2; font-weight: 650; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.figures dd.small { font-size: 1.125rem; padding-top: .4rem; }
.head { display: flex; justify-content: space-between; align-items: flex-start; gap: .75rem; }
.pill { flex: none; border-radius: 99px; padding: .05rem .6rem; font-size: .8125rem; font-weight: 600;
  white-space: nowrap; line-height: 1.6; }
.chart { display: block; overflow: visible; margin-top: 1rem; font-size: 13px; font-variant-numeric: tabular-nums; }
.chart text { fill: var(--ink); stroke: var(--card); stroke-width: 4px; stroke-linejoin: round; paint-order: stroke; }
.chart .name { font-weight: 600; }
.chart .tick { fill: var(--muted); font-size: 12px; }
.chart .value { fill: var(--muted); }
.chart .rail { stroke: var(--line); stroke-width: 1; }
.chart .value.failed { fill: var(--bad); font-weight: 600; }
.chart .value.unknown { fill: var(--doubt); font-weight: 600; }
.chart .flag { font-size: 12.5px; font-weight: 600; }
.chart .flag.incident, .chart .flag.late { fill: var(--bad); }
.chart .flag.recovered, .chart .flag.within { fill: var(--good); }
.chart .flag.objective, .chart .flag.other { fill: var(--muted); }
.chart .grid { stroke: var(--line); stroke-width: 1; }
.chart .axis { stroke: var(--muted); stroke-width: 1.5; }
.chart .mark { stroke-width: 2; }
.chart .mark.incident { stroke: var(--bad); }
.chart .mark.recovered { stroke: var(--good); }
.chart .mark.objective { stroke: var(--muted); stroke-dasharray: 5 4; }
.chart .mark.other { stroke: var(--quiet); stroke-dasharray: 2 3; }
.chart .track { fill: var(--track); }
.chart .estimate { fill: var(--quiet); }
.chart .span { fill: var(--shade); }
.chart .phase, .chart .bar { stroke-width: 2; stroke-linejoin: round; }
.chart .phase.ok, .chart .bar.passed { fill: var(--accent); stroke: var(--accent); }
.chart .phase.before { fill: var(--quiet); stroke: var(--quiet); }
.chart .phase.failed { fill: var(--bad); stroke: var(--bad); }
.chart .phase.unknown { fill: none; stroke: var(--doubt); stroke-dasharray: 4 3; }
.chart .bar.within { fill: var(--good); stroke: var(--good); }
.chart .bar.late { fill: var(--bad); stroke: var(--bad); }
.chart .bar.failed { fill: var(--bad-soft); stroke: var(--bad); }
.chart .bar.error { fill: var(--doubt-soft); stroke: var(--doubt); }
.chart .bar.skipped, .chart .bar.missed { fill: none; stroke: var(--quiet); }
.chart .bar.passed { opacity: .6; }
.chart .bar.newest { opacity: 1; }
.chart .sign { font-weight: 700; font-size: 14px; }
.chart .sign.passed { fill: var(--good); }
.chart .sign.failed, .chart .sign.missed { fill: var(--bad); }
.chart .sign.error { fill: var(--doubt); }
.chart .point { fill: var(--card); stroke: var(--accent); stroke-width: 2.5; }
.chart .gap { opacity: .35; }
.chart .gap.within { fill: var(--good); }
.chart .gap.late { fill: var(--bad); }
.chart .lost { fill: var(--bad-soft); }
.chart .marker { fill: var(--good); }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
th { text-align: left; color: var(--muted); font-size: .8125rem; font-weight: 600; }
th, td { padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child > td { border-bottom: 0; }
td.status { white-space: nowrap; width: 1%; }
.num { font-variant-numeric: tabular-nums; white-space: nowrap; }
td .why { display: block; color: var(--muted); font-size: .875rem; }
code { font: .875em/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
.plain { list-style: none; padding: 0; }
.plain li { padding: .45rem 0; border-bottom: 1px solid var(--line); }
.plain li:last-child { border-bottom: 0; }
.plain li > div { display: flex; justify-content: space-between; gap: .75rem; }
.plain .why { color: var(--muted); font-size: .8125rem; }
.notes { padding-left: 1.15rem; }
.notes li + li { margin-top: .25rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 10.5rem), 1fr)); gap: .75rem 1.25rem; }
.facts dt { color: var(--muted); font-size: .8125rem; }
.facts dd { margin: 0; font-size: .9375rem; font-variant-numeric: tabular-nums; }
footer { color: var(--muted); font-size: .8125rem; margin-top: 1.5rem; }
.chart.history { margin-left: 4.4rem; width: calc(100% - 4.4rem); }
@media (min-width: 40.01rem) {
  .stack.checks { table-layout: fixed; }
  .checks th:first-child { width: 8.2rem; } .checks th:nth-child(2) { width: 36%; }
  .chart.timeline { margin-left: 12.5rem; width: calc(100% - 12.5rem); }
  .chart.timeline .label { transform: translate(-12.5rem, 16px); }
}
@media (min-width: 52rem) { .verdict ul { columns: 2; column-gap: 2.5rem; } .verdict li { break-inside: avoid; } }
@media (max-width: 40rem) {
  .chart .tick.fine { display: none; }
  main { padding: 1rem .75rem 2rem; }
  .card, .verdict { padding: 1rem; }
  .verdict .seal { width: 3.25rem; height: 3.25rem; font-size: 1.8rem; }
  .stack thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stack, .stack tbody, .stack tr, .stack td { display: block; width: auto; }
  .stack tr { padding: .65rem 0; border-bottom: 1px solid var(--line); }
  .stack tr:last-child { border-bottom: 0; }
  .stack td { border: 0; padding: .1rem 0; }
  .stack td.status { width: auto; }
  .stack.runs td { display: inline-block; margin-right: .8rem; }
  .stack td[data-label]::before { content: attr(data-label) ": "; color: var(--muted); font-size: .8125rem; }
}
@page { margin: 14mm; }
@media print {
  body { background: #fff; font-size: 9.5pt; }
  html { font-size: 13px; }
  main { max-width: none; padding: 0; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  .card { break-inside: avoid; padding: .8rem 1rem; margin-top: .6rem; }
  .pair { gap: .6rem; margin-top: .6rem; grid-template-columns: 1fr 1fr; }
  .card.long { break-inside: auto; }
  th, td { padding-top: .3rem; padding-bottom: .3rem; }
  tr, li, h2, .chart { break-inside: avoid; }
  h2, .lead { break-after: avoid; }
  thead { display: table-header-group; }
}
"""

#: Paper is light, also when the screen is dark.
STYLE = (
    f":root {{{_LIGHT}}}\n@media screen and (prefers-color-scheme: dark) {{ :root {{{_DARK}}} }}\n{_RULES.strip()}\n"
)
