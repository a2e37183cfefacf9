// Elements, made of text and never of markup: what clients and models say is shown as it is.

/** el makes an element. Children are elements or texts; attributes that are null are left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") Object.assign(made.style, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((c) => c !== null && c !== undefined));
  return made;
}

export const $ = (id) => document.getElementById(id);

/** table fills a table: columns are {name, value(row) => text or element, number}. */
export function table(target, columns, rows, nothing) {
  const head = el("thead", {}, el("tr", {}, columns.map((c) => el("th", { class: c.number ? "number" : null, scope: "col" }, c.name))));
  const cells = (row) => columns.map((c) => el("td", { class: [c.number ? "number" : "", c.class || ""].join(" ").trim() || null, "data-label": c.name }, c.value(row)));
  const body = el("tbody", {}, rows.map((row) => el("tr", {}, cells(row))));
  if (rows.length === 0) body.append(el("tr", {}, el("td", { class: "faint", colspan: columns.length }, nothing)));
  target.replaceChildren(head, body);
}

/** ask asks the admin port for JSON. Who is not logged in (any more) is shown where to. */
export async function ask(path) {
  const answer = await fetch("api/" + path, { headers: { accept: "application/json" } });
  if (answer.status === 401) location.assign("login.html");
  if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
  return answer.json();
}
