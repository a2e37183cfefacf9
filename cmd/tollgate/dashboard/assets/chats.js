// Recent chats: the list, and one of them, whose answer can be watched as it arrives.
import { $, ask, el } from "./dom.js";
import { clock, count, milliseconds, usd } from "./format.js";

let open = "";
let source = null;
let timer = 0;

export async function list() {
  const found = await ask("chats?q=" + encodeURIComponent($("search").value));
  const target = $("chatlist");
  if (!found.kept) {
    target.replaceChildren(el("li", { class: "faint" }, "No chats are kept. Write admin: {recent_chats: 200} beside chat_log in tollgate.yaml."));
    return;
  }
  target.replaceChildren(...found.chats.map((c) => el("li", {},
    el("a", { href: "#chats/" + c.id, "aria-current": c.id === open ? "true" : null },
      el("div", { class: "head" }, el("b", {}, c.client || "no name"), el("code", {}, c.model || c.api), el("time", {}, clock(c.at))),
      el("div", { class: "excerpt" }, c.excerpt || "–"),
      el("div", { class: "faint" }, summary(c))))));
  if (found.chats.length === 0) target.append(el("li", { class: "faint" }, $("search").value ? "No chat has this text." : "No chat yet."));
}

function summary(c) {
  if (c.running) return el("span", { class: "mark good" }, "under way");
  const parts = [c.route, c.status && c.status !== 200 ? "status " + c.status : "", c.cause !== "whole" ? c.cause : "", c.cache && c.cache !== "bypass" ? "cache " + c.cache : "",
    c.input_tokens || c.output_tokens ? `${count(c.input_tokens)} → ${count(c.output_tokens)} tokens` : "", c.priced && c.cost_usd ? usd(c.cost_usd) : "", milliseconds(1000 * c.took_seconds)];
  return parts.filter(Boolean).join(" · ");
}

/** show opens a chat; an empty id closes what is open. */
export async function show(id) {
  if (id === open) return;
  open = id;
  if (source) source.close();
  source = null;
  $("chat").classList.toggle("open", Boolean(id));
  if (!id) {
    $("chat").replaceChildren(el("p", { class: "faint" }, "Choose a chat."));
    return;
  }
  try {
    const chat = await ask("chats/" + encodeURIComponent(id));
    if (open !== id) return;
    render(chat);
    if (chat.running) follow(id);
  } catch (error) {
    $("chat").replaceChildren(el("p", { class: "bad" }, error.message));
  }
  list().catch(() => {});
}

function render(chat) {
  const asked = chat.request || {};
  $("chat").replaceChildren(
    el("div", { class: "bar" }, el("h3", {}, chat.model || chat.api), el("a", { href: "#chats", class: "close", "aria-label": "Close" }, "×")),
    el("p", { class: "faint" }, `${chat.client || "no name"} · ${clock(chat.at)} · ${chat.id}`),
    el("p", { class: "faint", id: "chatsummary" }, summary(chat)),
    ...messages(asked).map((m) => bubble(m.role, m.text)),
    answer(chat),
    el("details", {}, el("summary", {}, "As recorded"), el("pre", { class: "code" }, JSON.stringify(chat.request, null, 2) + "\n" + (chat.answer ? JSON.stringify(chat.answer, null, 2) : ""))));
}

const bubble = (role, text, id) => el("div", { class: "bubble " + role }, el("div", { class: "role" }, role), el("div", { class: "said", id: id || null }, text));

function answer(chat) {
  if (chat.running) return bubble("assistant", chat.live ? "" : "The answer shows when it is whole: rules redact it.", "answer");
  const a = chat.answer || {};
  const said = a.assistant || text(a.error) || (a.tool_calls ? JSON.stringify(a.tool_calls, null, 2) : "");
  return bubble("assistant", said || (a.code ? `refused: ${a.code}` : "–"), "answer");
}

/** messages are what was asked, whichever API it was. */
function messages(asked) {
  if (Array.isArray(asked.messages)) return asked.messages.map((m) => ({ role: String(m.role || "user"), text: text(m.content) || text(m.tool_calls) }));
  const input = asked.input ?? asked.prompt;
  if (Array.isArray(input) && input.some((i) => i && i.role)) return input.map((m) => ({ role: String(m.role || "user"), text: text(m.content) }));
  return [{ role: "user", text: text(input) || "–" }];
}

function text(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map((part) => (part && typeof part === "object" ? part.text || `[${part.type || "part"}]` : String(part))).join("\n");
  return value.message || value.text || JSON.stringify(value);
}

/** follow watches an answer arrive. */
function follow(id) {
  source = new EventSource(`api/chats/${encodeURIComponent(id)}/stream`);
  source.onmessage = (event) => {
    const told = JSON.parse(event.data);
    if (open !== id) return;
    if (told.more) $("answer").append(told.more);
    if (told.chat) {
      source.close();
      render(told.chat);
      list().catch(() => {});
    }
  };
}

export function start() {
  $("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => list().catch(() => {}), 200);
  });
}
