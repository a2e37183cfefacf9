// The configuration in force, and its history.
import { $, ask, el } from "./dom.js";
import { clock } from "./format.js";

export async function show() {
  const { text, history } = await ask("config");
  $("configtext").replaceChildren(...text.split("\n").flatMap((line) => [...coloured(line), "\n"]));
  const inForce = history.find((h) => !h.error);
  $("configfrom").textContent = inForce ? `${inForce.from}, since ${clock(inForce.at)}` : "";
  $("history").replaceChildren(...history.map((h) => el("li", { class: h.error ? "failed" : "" },
    el("div", { class: "head" }, el("time", {}, clock(h.at)), el("span", { class: "mark " + (h.error ? "bad" : h === inForce ? "good" : "") }, h.error ? "turned down" : h === inForce ? "in force" : "was in force"), el("span", { class: "faint" }, h.from)),
    h.error ? el("pre", { class: "code bad" }, h.error) : null,
    h.changed && h.changed.length ? el("pre", { class: "code" }, h.changed.map((line) => el("span", { class: line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : null }, line + "\n"))) : null)));
}

/** coloured sets the name of a field off from its value. */
function coloured(line) {
  const match = /^(\s*(?:- )?)([\w_]+)(:.*)?$/.exec(line);
  if (!match || !match[3]) return [line];
  return [match[1], el("span", { class: "field" }, match[2]), match[3]];
}
