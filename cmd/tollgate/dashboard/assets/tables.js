// Tiles and tables of the state.
import { $, el, table } from "./dom.js";
import { ago, count, milliseconds, rate, seconds, usd } from "./format.js";
import * as plots from "./plots.js";

const number = (name, of, show = count) => ({ name, number: true, value: (row) => show(of(row)) });

function totals(state) {
  const columns = [
    number("Requests", (r) => r.requests), number("Failed", (r) => r.failed), number("Refused", (r) => r.refused),
    number("Cache hits", (r) => r.hits), number("Tokens in", (r) => r.input_tokens), number("Tokens out", (r) => r.output_tokens),
  ];
  if (state.priced) columns.push({ name: "Spent", number: true, value: (r) => money(r) }, number("Saved", (r) => r.saved_usd, usd));
  return columns;
}

/** money is what was spent, and whether more was that nobody knows. */
function money(row) {
  if (!row.unknown_cost) return usd(row.spent_usd);
  return el("span", { title: `${count(row.unknown_cost)} requests have no price` }, usd(row.spent_usd) + " + ?");
}

function tile(id, name, value, more, kind) {
  return el("div", { class: "tile " + (kind || ""), id: "tile-" + id }, el("div", { class: "name" }, name), el("div", { class: "value" }, value), el("div", { class: "more" }, more));
}

export function tiles(state) {
  const now = plots.last(10), minute = plots.last(60), total = state.total;
  const asked = total.requests + total.refused;
  const share = (part, of) => (of ? ((100 * part) / of).toFixed(part && part / of < 0.01 ? 2 : 0) + "%" : "–");
  const made = [
    tile("requests", "Requests / s", rate(now.requests / 10), `${count(total.requests)} since the start, ${count(total.in_flight)} under way`),
    tile("tokens", "Tokens / s", rate((now.input_tokens + now.output_tokens) / 10), `${count(total.input_tokens)} in, ${count(total.output_tokens)} out`),
    tile("first", "First token, p50", minute.first ? milliseconds(minute.first50 / minute.first) : "–", minute.first ? `p99 ${milliseconds(minute.first99)}, last minute` : "no streams in the last minute"),
    tile("refused", "Refused", count(total.refused), share(total.refused, asked) + " of what was asked", total.refused ? "" : "quiet"),
    tile("failed", "Failed", count(total.failed), share(total.failed, total.requests) + " of requests", total.failed ? "bad" : "quiet"),
    tile("hits", "Cache hits", count(total.hits), share(total.hits, total.requests) + " of requests", total.hits ? "" : "quiet"),
  ];
  if (state.priced) {
    made.push(tile("spent", "Spent", usd(total.spent_usd), total.unknown_cost ? `${count(total.unknown_cost)} requests have no price` : "by the configured prices"));
    made.push(tile("saved", "Saved by the cache", usd(total.saved_usd), share(Number(total.saved_usd), Number(total.saved_usd) + Number(total.spent_usd)) + " of all", Number(total.saved_usd) ? "good" : "quiet"));
  }
  $("tiles").replaceChildren(...made);
}

/** meter shows how much of a limit is left. */
function meter(limit) {
  const money = limit.of === "cost";
  const show = (n) => (money ? usd(n) : count(n));
  const level = limit.left <= 0.02 ? "empty" : limit.left < 0.2 ? "low" : "";
  const where = [limit.route || "all routes", limit.only, limit.shadow ? "tried out" : ""].filter(Boolean).join(", ");
  return el("div", { class: "limit " + level, title: `${limit.rate}, ${where}; ${limit.remaining} left` },
    el("div", { class: "what" }, el("b", {}, limit.rate), " " + (money ? "" : limit.of), el("span", { class: "faint" }, " " + where)),
    el("div", { class: "track" }, el("div", { class: "left", style: { width: (100 * limit.left).toFixed(1) + "%" } })),
    el("div", { class: "what faint" }, `${show(limit.remaining)} of ${show(limit.count)} left` + (limit.left < 1 && limit.reset_seconds > 0 ? `, whole in ${seconds(limit.reset_seconds)}` : "")));
}

const limits = (row) => (row.limits && row.limits.length ? el("div", { class: "limits" }, row.limits.map(meter)) : el("span", { class: "faint none" }, "none"));

const mark = (text, kind) => el("span", { class: "mark " + (kind || "") }, text);

export function overview(state) {
  tiles(state);
  const all = totals(state);
  table($("routes"), [
    { name: "Route", value: (r) => el("code", {}, r.prefix) },
    { name: "Upstreams", value: (r) => (r.upstreams || []).join(", ") },
    { name: "", value: (r) => el("span", {}, mark(r.auth, r.auth === "open" ? "warn" : ""), r.cache ? mark("cache") : null, r.recorded ? mark("recorded") : null) },
    number("Under way", (r) => r.in_flight), ...all,
    { name: "Shared limits", value: limits, class: "wide" },
  ], state.routes, "There are no routes.");
  table($("models"), [{ name: "Model", value: (r) => el("code", {}, r.name) }, ...all.filter((c) => c.name !== "Refused")], state.models.filter((m) => m.requests > 0), "No model was asked for yet.");
  table($("refusals"), [
    { name: "Code", value: (r) => el("code", {}, r.code) }, { name: "Route", value: (r) => el("code", {}, r.route) }, number("Requests", (r) => r.count),
  ], [...state.refusals].sort((a, b) => b.count - a.count), "Nothing was refused.");
  table($("keys"), [
    { name: "Upstream", value: (k) => k.upstream }, { name: "Key", value: (k) => el("code", {}, k.key) },
    { name: "State", value: (k) => (k.rest_seconds > 0 ? mark("rests for " + seconds(k.rest_seconds), "warn") : mark("in turn", "good")) },
    { name: "Answers", value: (k) => el("span", {}, Object.entries(k.answers).sort().map(([status, n]) => mark(`${status}: ${count(n)}`, /^[45]/.test(status) ? "bad" : ""))) },
  ], state.keys, "No upstream has keys of its own.");
}

export function clients(state) {
  table($("clienttable"), [
    { name: "Client", value: (c) => (c.name ? el("b", {}, c.name) : el("i", {}, "without a name")) },
    { name: "Headroom", value: limits, class: "wide" },
    ...totals(state),
    { name: "Last", value: (c) => ago(c.last, state.now) },
  ], state.clients, "The configuration names no clients.");
  $("more").textContent = state.more_clients ? `${count(state.more_clients)} more clients are not shown: these are the ones that asked most.` : "";
}
