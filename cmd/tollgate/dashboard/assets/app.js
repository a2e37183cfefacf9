// The page: which view is open, and what keeps it fresh.
import { $, ask } from "./dom.js";
import { clock } from "./format.js";
import * as chats from "./chats.js";
import * as config from "./config.js";
import * as plots from "./plots.js";
import * as tables from "./tables.js";

const views = ["overview", "clients", "chats", "config"];
let view = "";
let state = null;

function route() {
  const [wanted, id] = location.hash.slice(1).split("/");
  view = views.includes(wanted) ? wanted : "overview";
  for (const name of views) $(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === "#" + view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view === "overview") plots.resize();
  if (view === "chats") chats.show(id || "");
  refresh();
}

/** connected says whether what is shown is fresh. */
function connected(yes, why) {
  $("connection").textContent = yes ? "live" : "not connected";
  $("connection").className = "pill " + (yes ? "good" : "bad");
  $("connection").title = why || "";
}

async function refresh() {
  try {
    state = await ask("state");
    notice();
    $("logout").hidden = !state.guarded;
    $("footer").textContent = `tollgate ${state.version} · since ${clock(state.started)} · clients connect to ${state.listener} · ${state.envoys} Envoy${state.envoys === 1 ? "" : "s"} connected`;
    if (view === "overview") tables.overview(state);
    if (view === "clients") tables.clients(state);
    if (view === "chats") await chats.list();
    if (view === "config") await config.show();
  } catch (error) {
    connected(false, error.message);
  }
}

/** notice tells what an operator should do something about. */
function notice() {
  const told = [];
  if (state.last_error) told.push("The newest configuration is not in force: " + state.last_error.error.split("\n").slice(0, 2).join(" "));
  if (!state.ready) told.push("No Envoy runs the configuration in force.");
  if (!state.metered) told.push("telemetry.usage is off: of requests, only refusals are counted. Write telemetry: {usage: true} to see the rest.");
  if (state.trouble) told.push(state.trouble);
  $("notice").textContent = told.join("  ");
  $("notice").hidden = told.length === 0;
}

/** stream takes each second's point as it is made; whatever was missed in between comes first. */
function stream() {
  const source = new EventSource("api/stream?after=" + plots.latest());
  source.onopen = () => connected(true);
  source.onmessage = (event) => {
    connected(true);
    plots.add(JSON.parse(event.data));
    if (state && view === "overview") tables.tiles(state);
  };
  source.onerror = () => {
    source.close();
    connected(false);
    setTimeout(stream, 2000);
  };
}

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("tollgate-theme", root.dataset.theme);
  plots.build();
}

async function start() {
  $("theme").addEventListener("click", theme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.build());
  addEventListener("hashchange", route);
  new ResizeObserver(() => plots.resize()).observe($("plots"));
  chats.start();
  plots.choose();
  route();
  plots.build();
  try {
    plots.set((await ask("points")).points);
  } catch (error) {
    connected(false, error.message);
  }
  stream();
  setInterval(refresh, 2000);
}

start();
