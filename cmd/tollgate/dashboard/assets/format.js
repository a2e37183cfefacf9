// How numbers, money and times are written.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function count(n) {
  n = Number(n);
  return n < 100000 ? whole.format(n) : compact.format(n);
}

export function rate(n) {
  if (n === 0) return "0";
  if (n < 10) return n.toFixed(n < 1 ? 2 : 1);
  return count(n);
}

/** usd writes dollars: cents for what is large, as many digits as it takes for what is small. */
export function usd(text) {
  const n = Number(text);
  if (n === 0) return "$0";
  if (n >= 1000) return "$" + compact.format(n);
  if (n >= 1) return "$" + n.toFixed(2);
  return "$" + n.toPrecision(n < 0.0001 ? 2 : 3).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

export function milliseconds(ms) {
  if (ms >= 10000) return (ms / 1000).toFixed(0) + " s";
  if (ms >= 1000) return (ms / 1000).toFixed(1) + " s";
  return ms.toFixed(ms < 10 ? 1 : 0) + " ms";
}

export function seconds(s) {
  if (s <= 0) return "now";
  if (s < 60) return Math.ceil(s) + " s";
  if (s < 3600) return Math.round(s / 60) + " min";
  if (s < 172800) return (s / 3600).toFixed(s < 36000 ? 1 : 0) + " h";
  return Math.round(s / 86400) + " days";
}

export function clock(at) {
  const t = new Date(at);
  const today = new Date().toDateString() === t.toDateString();
  const time = t.toLocaleTimeString("en-GB");
  return today ? time : t.toISOString().slice(0, 10) + " " + time;
}

/** ago says how long ago something was; never, for the zero time. */
export function ago(at, now) {
  if (!at) return "never";
  const s = (new Date(now) - new Date(at)) / 1000;
  return s < 2 ? "now" : seconds(s) + " ago";
}
