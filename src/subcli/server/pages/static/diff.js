// What a test expected and what it got, with the first difference marked.

import { element } from "./dom.js";

const SHORT = 60;
const MOST_LINES = 20;

// The parts of a card that show two values; none if there are none.
export function comparison(test) {
  const values = [["expected", test.expected], ["actual", test.actual]].filter(([, value]) => value !== undefined && value !== null);
  const isMarked = Number.isInteger(test.expected_at) && Number.isInteger(test.actual_at);
  if (!values.length && !isMarked) return [];
  if (!isMarked && !(typeof test.expected === "string" && typeof test.actual === "string")) return [pairs(values.map(([name, value]) => [name, shown(value)]))];
  // Nothing is sent of a value that is empty.
  let [wanted, got] = [shown(test.expected ?? ""), shown(test.actual ?? "")];
  const [there, here] = isMarked ? [offset(wanted, test.expected_at), offset(got, test.actual_at)] : firstDifference(wanted, got);
  [wanted, got] = [around(wanted, there), around(got, here)];
  const isShort = [wanted, got].every(({ before, after, line }) => !before.length && !after.length && line.join("").length <= SHORT);
  return [isShort ? pairs([["expected", marked(wanted)], ["actual", marked(got)]]) : lines(wanted, got)];
}

export function pairs(values) {
  const list = element("dl");
  for (const [name, value] of values) {
    const definition = element("dd", "text");
    definition.append(...(Array.isArray(value) ? value : [element("span", "", value)]));
    list.append(element("dt", "", name), definition);
  }
  return list;
}

function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

// From characters (code points), as servers count, to the units of JavaScript.
function offset(text, count) {
  return [...text].slice(0, Math.max(0, count)).join("").length;
}

// The beginning of the first token that differs, in both texts. White space at the end of a line makes no difference.
function firstDifference(wanted, got) {
  const [left, right] = [wanted.split("\n"), got.split("\n")];
  let row = 0;
  while (row < Math.min(left.length, right.length) && left[row].trimEnd() === right[row].trimEnd()) row += 1;
  const [one, other] = [left[row] ?? "", right[row] ?? ""];
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  while (at > 0 && !/\s/.test(one[at - 1])) at -= 1;
  const before = (every) => every.slice(0, row).reduce((sum, line) => sum + line.length + 1, 0);
  return [before(left) + at, before(right) + at];
}

// The line of a place in three parts, the middle one being what differs, and the lines before and after it.
function around(text, at) {
  const place = Math.min(at, text.length);
  const start = text.lastIndexOf("\n", place - 1) + 1;
  const end = text.indexOf("\n", place) < 0 ? text.length : text.indexOf("\n", place);
  const length = text.slice(place, end).search(/\s/);
  // White space that differs is a token of its own.
  const stop = length < 0 ? end : place + Math.max(length, 1);
  const after = text.slice(end + 1).replace(/\r?\n$/, "");
  return {
    before: start ? text.slice(0, start - 1).split("\n") : [],
    line: [text.slice(start, place), text.slice(place, stop), text.slice(stop, end)],
    after: after ? after.split("\n") : [],
  };
}

function marked({ line: [head, token, tail] }) {
  const parts = [element("span", "", head), token ? element("mark", "", token) : element("span", "quiet", head ? " (ends here)" : "(nothing)"), element("span", "", tail)];
  return parts.filter((part) => part.textContent !== "");
}

function lines(wanted, got) {
  const figure = element("figure", "diff");
  const title = element("figcaption", "quiet");
  title.append(element("span", "minus", "− expected"), " ", element("span", "plus", "+ actual"));
  const code = element("pre", "text");
  const add = (kind, parts) => code.append(row(kind, parts));
  for (const line of got.before.slice(-MOST_LINES)) add("same", [line]);
  add("minus", marked(wanted));
  add("plus", marked(got));
  const length = Math.max(wanted.after.length, got.after.length);
  for (let place = 0; place < Math.min(length, MOST_LINES); place += 1) {
    const [left, right] = [wanted.after[place], got.after[place]];
    if (left === right) add("same", [left]);
    else {
      if (left !== undefined) add("minus", [left]);
      if (right !== undefined) add("plus", [right]);
    }
  }
  if (length > MOST_LINES) add("same", ["…"]);
  figure.append(title, code);
  return figure;
}

const SIGNS = { same: ["  ", ""], minus: ["− ", "expected: "], plus: ["+ ", "actual: "] };

// A line; its sign is for eyes, its word for ears.
function row(kind, parts) {
  const [sign, word] = SIGNS[kind];
  const line = element("span", kind);
  const mark = element("span", "", sign);
  mark.setAttribute("aria-hidden", "true");
  line.append(mark, ...(word ? [element("span", "unseen", word)] : []));
  line.append(...parts.map((part) => (typeof part === "string" ? element("span", "", part) : part)), "\n");
  return line;
}
