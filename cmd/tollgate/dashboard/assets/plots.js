// The plots of what happens from second to second.
import { $, el } from "./dom.js";
import { count, milliseconds, rate, usd } from "./format.js";

/* global uPlot */

const spans = [{ name: "1 min", seconds: 60, step: 1 }, { name: "5 min", seconds: 300, step: 2 }, { name: "15 min", seconds: 900, step: 5 }];

// Each series is made of the points of a step: their sum, and how long the step is.
const perSecond = (of) => (sum, step) => sum[of] / step;
const perMinute = (of) => (sum, step) => (sum[of] / step) * 60;
const charts = [
  { id: "requests", title: "Requests / s", show: rate, series: [
    { name: "answered", colour: "--blue", of: perSecond("answered"), fill: true },
    { name: "failed", colour: "--red", of: perSecond("failed") }] },
  { id: "tokens", title: "Tokens / s", show: count, series: [
    { name: "output", colour: "--violet", of: perSecond("output_tokens"), fill: true },
    { name: "input", colour: "--teal", of: perSecond("input_tokens") }] },
  { id: "first", title: "Time to first token", show: milliseconds, gaps: true, series: [
    { name: "p99", colour: "--amber", of: (sum) => (sum.first ? sum.first99 : null) },
    { name: "p50", colour: "--blue", of: (sum) => (sum.first ? sum.first50 / sum.first : null) }] },
  { id: "refused", title: "Refusals / s", show: rate, series: [
    { name: "refused", colour: "--red", of: perSecond("refused"), fill: true }] },
  { id: "hits", title: "Cache hits / s", show: rate, series: [
    { name: "hits", colour: "--green", of: perSecond("hits"), fill: true }] },
  { id: "money", title: "US dollars / min", show: usd, series: [
    { name: "spent", colour: "--amber", of: perMinute("spent_usd"), fill: true },
    { name: "saved", colour: "--green", of: perMinute("saved_usd") }] },
];

const height = 165;

let points = [];
let span = spans[1];
let drawn = [];

/** last sums up the points of the last seconds. */
export function last(seconds) {
  const now = points.length ? points[points.length - 1].t : 0;
  return sumUp(points.filter((p) => p.t > now - seconds));
}

function sumUp(some) {
  const sum = { requests: 0, answered: 0, failed: 0, refused: 0, hits: 0, input_tokens: 0, output_tokens: 0, spent_usd: 0, saved_usd: 0, first: 0, first50: 0, first99: 0 };
  for (const p of some) {
    for (const key of ["requests", "failed", "refused", "hits", "input_tokens", "output_tokens", "spent_usd", "saved_usd", "first"]) sum[key] += p[key];
    sum.first50 += p.first50_ms * p.first; // weighted; whoever shows it divides
    sum.first99 = Math.max(sum.first99, p.first99_ms);
  }
  sum.answered = sum.requests - sum.failed;
  return sum;
}

/** data cuts the span into steps, each at its own place in time, so that a step never changes once it is over. */
function data(chart) {
  const { seconds, step } = span;
  const end = points.length ? points[points.length - 1].t : Math.floor(Date.now() / 1000);
  const newest = Math.floor(end / step) * step;
  const steps = new Map();
  for (const p of points) {
    const at = Math.ceil(p.t / step) * step;
    if (at > newest || at <= newest - seconds) continue;
    if (!steps.has(at)) steps.set(at, []);
    steps.get(at).push(p);
  }
  const times = [];
  const columns = chart.series.map(() => []);
  for (let at = newest - seconds + step; at <= newest; at += step) {
    times.push(at);
    const sum = steps.has(at) ? sumUp(steps.get(at)) : null;
    chart.series.forEach((s, i) => columns[i].push(sum ? s.of(sum, step) : null));
  }
  return [times, ...columns];
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function options(chart, width) {
  const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  return {
    width, height, legend: { show: false }, padding: [10, 8, 0, 0],
    cursor: { y: false, points: { size: 6 }, sync: { key: "live", setSeries: false } },
    scales: { y: { range: (_, least, most) => [0, most > 0 ? most * 1.15 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 26, values: (_, all) => all.map((t) => new Date(t * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: span.seconds <= 60 ? "2-digit" : undefined })) },
      { ...axis, size: 58, space: 30, values: (_, all) => all.map((v) => (v === 0 ? "0" : chart.show(v))) },
    ],
    series: [{}, ...chart.series.map((s) => ({
      label: s.name, stroke: colour(s.colour), width: 1.75, spanGaps: Boolean(chart.gaps),
      fill: s.fill ? colour(s.colour) + "26" : undefined, points: { show: Boolean(chart.gaps), size: 4, fill: colour(s.colour) },
    }))],
    hooks: { setCursor: [(plot) => legend(chart, plot)] },
  };
}

/** legend shows the values under the cursor, or the latest. */
function legend(chart, plot) {
  let at = plot.cursor.idx;
  if (at === null || at === undefined) at = plot.data[0].length - 1;
  chart.series.forEach((s, i) => {
    const value = plot.data[i + 1][at];
    $(`legend-${chart.id}-${i}`).textContent = value === null || value === undefined ? "–" : chart.show(value);
  });
}

/** build makes the plots anew: at the start, and when the theme changes. */
export function build() {
  drawn.forEach((d) => d.plot.destroy());
  const boxes = charts.map((chart) => el("figure", { class: "plot", id: "plot-" + chart.id },
    el("figcaption", {}, el("span", { class: "title" }, chart.title),
      chart.series.map((s, i) => el("span", { class: "key" }, el("i", { style: { background: `var(${s.colour})` } }), s.name + " ", el("b", { id: `legend-${chart.id}-${i}` }, "–")))),
    el("div", { class: "canvas" })));
  $("plots").replaceChildren(...boxes);
  drawn = charts.map((chart, i) => {
    const box = boxes[i].querySelector(".canvas");
    return { chart, box, plot: new uPlot(options(chart, box.clientWidth || 300), data(chart), box) };
  });
  draw();
}

export function draw() {
  for (const { chart, plot } of drawn) {
    plot.setData(data(chart));
    legend(chart, plot);
  }
}

export function resize() {
  for (const { box, plot } of drawn) {
    if (box.clientWidth > 0 && box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height });
  }
}

export function set(all) { points = all; draw(); }

export function add(point) {
  if (points.length && point.t <= points[points.length - 1].t) return;
  points.push(point);
  if (points.length > 900) points.shift();
  draw();
}

export const latest = () => (points.length ? points[points.length - 1].t : 0);

/** choose shows the buttons for the span of time. */
export function choose() {
  $("span").replaceChildren(...spans.map((s) => el("button", { type: "button", "aria-pressed": String(s === span), onclick: () => { span = s; choose(); draw(); } }, s.name)));
}
