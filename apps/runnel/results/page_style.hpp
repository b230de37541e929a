// The style and the script of the page that page.hpp makes. Colours are given once for light and once for
// dark.
#pragma once

#include <string_view>

namespace runnel::results {

inline constexpr std::string_view page_style = R"css(
:root { color-scheme: light dark;
  --plane: #f6f6f4; --surface: #fff; --ink: #17181a; --quiet: #5d6167; --rule: #dfe0de; --grid: #ebebe9;
  --s1: #2a6fc9; --s2: #d9730d; --s3: #178a63; --bar: #d7e4f6;
  --p1: #9cc3f0; --p2: #639fe3; --p3: #2f77cc; --p4: #1b4f93; --p5: #0d2c57;
  --good: #136f43; --warn: #8f5600; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --plane: #141517; --surface: #1d1e21; --ink: #eceded; --quiet: #a0a5ab; --rule: #35373b; --grid: #2a2c2f;
  --s1: #6aa6f0; --s2: #f0994a; --s3: #4cc295; --bar: #2b4160;
  --p1: #2f5c97; --p2: #447fc6; --p3: #6ea7ea; --p4: #a5ccf8; --p5: #e3f0ff;
  --good: #58c08a; --warn: #e0a03c; --bad: #f2857b; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 24px clamp(12px, 3vw, 40px) 48px; background: var(--plane); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 17px; margin: 36px 0 12px; }
p { margin: 0 0 8px; } .quiet { color: var(--quiet); }
.verdict { display: flex; gap: 12px; align-items: baseline; margin: 18px 0; padding: 12px 16px;
  background: var(--surface); border: 1px solid var(--rule); border-left: 5px solid; border-radius: 6px; }
.verdict b { white-space: nowrap; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.verdict span { color: var(--ink); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(172px, 1fr)); gap: 12px; }
.tile, figure, .card { background: var(--surface); border: 1px solid var(--rule); border-radius: 8px; }
.tile { padding: 12px 14px; min-width: 0; } .tile .name { color: var(--quiet); font-size: 13px; }
.tile .value { font-size: 24px; font-weight: 600; line-height: 1.25; white-space: nowrap; }
.tile .more { color: var(--quiet); font-size: 12.5px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 430px), 1fr)); gap: 16px; }
figure { margin: 0; padding: 12px 12px 6px; min-width: 0; }
figcaption span { color: var(--quiet); font-size: 13px; margin-left: 4px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12.5px; color: var(--quiet); margin-top: 4px; }
.legend i, .tip i { display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin-right: 6px;
  vertical-align: 3px; background: currentColor; }
.plot { position: relative; } .plot svg { display: block; width: 100%; height: auto; overflow: visible; }
.tick { font-size: 12px; fill: var(--quiet); font-variant-numeric: tabular-nums; }
.tick.y { dominant-baseline: central; }
/* A drawing shrinks with its window; what is written on it must not. */
@media (max-width: 560px) { .tick { font-size: 17px; } .tick.spare { display: none; }
  .tick:not(.y) { transform: translateY(6px); } }
.grid { stroke: var(--grid); } .axis { stroke: var(--rule); } .cursor { stroke: var(--quiet); visibility: hidden; }
.line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round;
  vector-effect: non-scaling-stroke; }
.dot { fill: currentColor; }
.s1 { color: var(--s1); } .s2 { color: var(--s2); } .s3 { color: var(--s3); }
.p1 { color: var(--p1); } .p2 { color: var(--p2); } .p3 { color: var(--p3); } .p4 { color: var(--p4); }
.p5 { color: var(--p5); }
.tip { position: absolute; top: 4px; pointer-events: none; background: var(--surface); color: var(--ink);
  border: 1px solid var(--rule); border-radius: 6px; padding: 6px 9px; font-size: 12.5px; white-space: nowrap;
  box-shadow: 0 2px 8px rgb(0 0 0 / .18); font-variant-numeric: tabular-nums; }
.tip div { display: flex; justify-content: space-between; gap: 14px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 16px; }
.card { padding: 4px 14px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
td, th { padding: 6px 10px 6px 0; border-bottom: 1px solid var(--grid); text-align: left; font-weight: 400;
  vertical-align: top; }
tr:last-child > * { border-bottom: 0; }
thead th { color: var(--quiet); font-size: 13px; } th { color: var(--quiet); }
.figures td, .figures thead th:not(:first-child), td.figure { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
td.words { overflow-wrap: anywhere; }
.busy { position: relative; background: var(--grid); border-radius: 3px; height: 18px; min-width: 120px; }
.busy i { position: absolute; inset: 0 auto 0 0; background: var(--bar); border-radius: 3px; }
.busy span { position: relative; padding-left: 6px; font-size: 12.5px; line-height: 18px; }
.settings { columns: 3 300px; column-gap: 28px; }
.settings div { display: flex; justify-content: space-between; gap: 12px; padding: 3px 0; font-size: 13.5px;
  border-bottom: 1px solid var(--grid); break-inside: avoid; }
.settings span { color: var(--quiet); } .settings b { font-weight: 400; text-align: right; overflow-wrap: anywhere; }
ul { margin: 8px 0; padding-left: 20px; }
@media print { body { background: none; padding: 0; } figure, .card, .tile { break-inside: avoid; } }
)css";

inline constexpr std::string_view page_script = R"js(
for (const plot of document.querySelectorAll('.plot')) {
  const points = JSON.parse(plot.dataset.points), names = JSON.parse(plot.dataset.names);
  const svg = plot.querySelector('svg'), cursor = plot.querySelector('.cursor'), tip = plot.querySelector('.tip');
  const styles = [...svg.querySelectorAll('.line, .dot')].map(e => e.classList[1]);
  plot.addEventListener('pointermove', event => {
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const at = (event.clientX - box.left) * scale;
    let near = points[0];
    for (const point of points) if (Math.abs(point[0] - at) < Math.abs(near[0] - at)) near = point;
    cursor.setAttribute('x1', near[0]); cursor.setAttribute('x2', near[0]);
    cursor.style.visibility = 'visible';
    tip.replaceChildren();
    const head = document.createElement('b'); head.textContent = near[1]; tip.append(head);
    names.forEach((name, i) => {
      if (!near[2][i]) return;
      const row = document.createElement('div'), label = document.createElement('span'), value = document.createElement('span');
      const key = document.createElement('i'); key.className = styles[i] || '';
      label.append(key, name); value.textContent = near[2][i]; row.append(label, value); tip.append(row);
    });
    tip.hidden = false;
    const x = near[0] / scale, right = x > box.width / 2;
    tip.style.left = right ? 'auto' : x + 12 + 'px';
    tip.style.right = right ? box.width - x + 12 + 'px' : 'auto';
  });
  plot.addEventListener('pointerleave', () => { tip.hidden = true; cursor.style.visibility = 'hidden'; });
}
)js";

}  // namespace runnel::results
