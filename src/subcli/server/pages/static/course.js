// Where each part of a picture of a failure lies, and what is said of it. Pure: no page, socket or clock.

export const LANE = 150;
export const LEFT = 76;
export const TOP = 56;
const MOST_NODES = 60;
const FATES = {
  __proto__: null,
  lost: "lost",
  dropped: "dropped by the test",
  cut_off: "cut off by the partition",
  crashed: "its receiver is down",
  under_way: "still under way at the end",
};

// What the server sent, with what it leaves out, and nothing that could not be drawn.
export function read(trace) {
  const list = (value) => (Array.isArray(value) ? value : []);
  const nodes = list(trace?.nodes).filter((name) => typeof name === "string").slice(0, MOST_NODES);
  const isTimed = (each) => Number.isSafeInteger(each?.no) && Number.isFinite(each?.ms);
  const messages = list(trace?.messages).filter((each) => isTimed(each) && nodes.includes(each.src) && nodes.includes(each.dest));
  return {
    nodes,
    messages,
    marks: list(trace?.marks).filter(isTimed),
    places: list(trace?.places),
    seed: trace?.seed ?? 0,
    violation: String(trace?.violation ?? ""),
    moment: trace?.moment_no ?? 0,
    momentMs: trace?.moment_ms ?? 0,
    noticedMs: trace?.noticed_ms ?? 0,
    late: overtaken(messages),
  };
}

// The messages that arrived after one that the same node sent to the same node later.
function overtaken(messages) {
  const soonest = new Map();
  const late = new Set();
  for (const message of [...messages].sort((a, b) => b.no - a.no)) {
    if (!Number.isSafeInteger(message.arrived_no)) continue;
    const pair = JSON.stringify([message.src, message.dest]);
    if (message.arrived_no > (soonest.get(pair) ?? Infinity)) late.add(message.no);
    soonest.set(pair, Math.min(soonest.get(pair) ?? Infinity, message.arrived_no));
  }
  return late;
}

// How far down each happening is drawn, by its number, and the times to write beside them. Time is not to scale: what
// happens in the same millisecond must be told apart, and a long silence takes no page.
export function heights({ messages, marks }) {
  const happened = marks.filter(isDrawn).map(({ no, ms }) => ({ no, ms }));
  for (const message of messages) {
    happened.push({ no: message.no, ms: message.ms });
    if (Number.isSafeInteger(message.arrived_no)) happened.push({ no: message.arrived_no, ms: message.arrived_ms ?? message.ms });
  }
  happened.sort((a, b) => a.no - b.no);
  const places = new Map();
  const times = [];
  let [y, before] = [TOP, null];
  for (const { no, ms } of happened) {
    if (before !== null) y += ms === before ? 7 : Math.min(14 + (ms - before) * 0.8, 48);
    if (ms !== before) times.push({ y, ms });
    places.set(no, y);
    before = ms;
  }
  return { places, times, end: y + 24 };
}

export function isDrawn(mark) {
  return (mark.kind !== "save" && mark.kind !== "answer") || mark.broke_rule === true;
}

// When a node runs: pieces of its line, dashed where it is down.
export function life(node, marks, places, end) {
  const pieces = [];
  let [up, since] = [true, TOP];
  const first = marks.find((mark) => mark.node === node && (mark.kind === "start" || mark.kind === "kill"));
  if (first?.kind === "start" && first.ms > 0) up = false;
  for (const mark of marks) {
    if (mark.node !== node || (mark.kind !== "start" && mark.kind !== "kill")) continue;
    const y = places.get(mark.no) ?? TOP;
    if (y > since) pieces.push({ from: since, to: y, up });
    [up, since] = [mark.kind === "start", Math.max(y, since)];
  }
  return [...pieces, { from: since, to: end, up }];
}

export function bodyText(body) {
  if (typeof body === "string" || body === null || body === undefined) return String(body ?? "");
  const { type, ...rest } = body;
  return [type ?? "", ...Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`)].join(" ");
}

export function markText(mark) {
  if (mark.kind === "partition") return `partition: ${(mark.groups ?? []).map((group) => group.join(" ")).join(" | ")}`;
  const words = { __proto__: null, heal: "the partition ends", kill: "killed", start: "" };
  return words[mark.kind] ?? (mark.text || bodyText(mark.body));
}

// A message as a sentence, for those who hear the page.
export function sentence(message, course) {
  return `${route(message, course)}: ${bodyText(message.body)}`;
}

// Where a message goes, and what becomes of it.
export function route(message, { late }) {
  const fate = FATES[message.fate] ?? `arrived at ${message.arrived_ms} ms`;
  const parts = [`${message.src} to ${message.dest}`, `sent at ${message.ms} ms`, fate];
  if (late.has(message.no)) parts.push("overtaken by a later one");
  if (message.broke_rule) parts.push("this broke the rule");
  return parts.join(", ");
}

export function stops(message) {
  return message.fate in FATES;
}

export function placeOf(message, { places }) {
  const place = places[message.place];
  return place?.file ? { where: `${place.file}:${place.line}`, text: String(place.text ?? ""), inside: String(place.function ?? "") } : null;
}
