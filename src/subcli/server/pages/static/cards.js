// What went wrong: a card for each failure that has something to tell.

import { lineOf } from "./code.js";
import { comparison, pairs } from "./diff.js";
import { block, element } from "./dom.js";
import { duration, facts, isBad, outcome } from "./words.js";

const MOST_CARDS = 50;
const MOST_NAMES = 20;
const MOST_INPUT = 4000;

export function cards(submission) {
  const about = new Map();
  const alone = [];
  for (const analysis of submission.analyses.values()) {
    const key = analysis.test_id ?? analysis.test_name;
    if (submission.tests.has(key)) about.set(key, [...(about.get(key) ?? []), analysis]);
    else alone.push(analysis);
  }
  const causes = sharedCauses(submission.tests, about);
  const made = [];
  const silent = [];
  for (const [key, test] of submission.tests) {
    if (!isBad(test)) continue;
    if (isSilent(test, about.get(key))) silent.push(test);
    else if (made.length < MOST_CARDS) made.push(failureCard(test, about.get(key) ?? [], causes));
  }
  if (silent.length) made.push(silentCard(silent));
  made.push(...alone.slice(-MOST_CARDS).map((analysis) => failureCard({ test_name: analysis.test_name, message: analysis.error }, [analysis])));
  if (submission.buildLog && submission.verdict === "build_failed") made.push(buildCard(submission.buildLog));
  return made;
}

// Whether the server says how a test ended, and nothing else: so the problem's author has decided.
function isSilent(test, analyses) {
  const said = [test.message, test.expected, test.actual, test.input, test.output];
  return typeof test.outcome === "string" && !analyses?.length && said.every((value) => value === undefined || value === null || value === "");
}

function silentCard(tests) {
  const card = element("article", "card");
  card.append(element("h3", "", "Only the outcome is shown"));
  card.append(element("p", "", "What these tests check is secret: the problem shows how they ended, but neither their data nor what your program printed."));
  const list = element("ul", "silent");
  for (const test of tests.slice(0, MOST_NAMES)) {
    const item = element("li");
    const [label, long] = outcome(test) ?? ["", test.status];
    item.append(element("span", "text", test.test_name), ": ", ...(label ? [chip(test), " "] : []), element("span", "text", long));
    list.append(item);
  }
  if (tests.length > MOST_NAMES) list.append(element("li", "", `… and ${tests.length - MOST_NAMES} more`));
  card.append(list);
  return card;
}

// Tests that fail for one cause: the card of the first tells it and names the others. What a test's own message says is
// no part of the cause.
function sharedCauses(tests, about) {
  const known = new Map();
  const causes = new Map();
  for (const [key, test] of tests) {
    if (!isBad(test)) continue;
    for (const analysis of about.get(key) ?? []) {
      const { category, location, suggestions, error, analysis: text } = analysis;
      // Wrong answers have one cause if the answers are the same, or one place in the program explains them.
      const isAnswer = category === "wrong_answer" && !location;
      const answers = isAnswer && isGiven(test.expected) && isGiven(test.actual) ? [test.expected, test.actual] : null;
      const message = isAnswer && answers === null ? "" : test.message;
      const told = JSON.stringify([category, location, answers, suggestions, without(error, message), without(text, message)]);
      if (!known.has(told)) known.set(told, { first: analysis, names: [] });
      const cause = known.get(told);
      cause.names.push(test.test_name ?? String(key));
      causes.set(analysis, cause);
    }
  }
  return causes;
}

function isGiven(value) {
  return value !== undefined && value !== null;
}

function without(text, message) {
  if (typeof text !== "string" || !message) return text;
  // An analysis that begins with it begins with a capital letter.
  return text.replaceAll(message, "").replaceAll(message[0].toUpperCase() + message.slice(1), "");
}

// The short word for how a test ended. Those who hear the page get the long one.
export function chip(test) {
  const found = outcome(test);
  if (!found || test.outcome === "skipped") return "";
  const made = element("abbr", "chip", found[0]);
  made.title = found[1];
  return made;
}

function failureCard(test, analyses, causes = new Map()) {
  const card = element("article", "card");
  const why = test.message ?? analyses[0]?.error;
  const title = element("h3", "text", test.test_name ?? why ?? "Failure");
  card.append(title);
  const ended = outcome(test);
  const known = [ended?.[1], duration(test.duration_ms), ...facts(test)].filter(Boolean).join(" · ");
  if (ended) title.append(" ", chip(test));
  if (test.test_name && known) card.append(element("p", "quiet known", known));
  if (why && test.test_name) card.append(element("p", "why bad text", why));
  card.append(...comparison(test));
  const places = analyses.map(({ location: place }) => place).filter((place) => place?.file);
  if (places.length) card.append(pairs(places.map((place) => ["in", linked(place)])));
  for (const analysis of analyses) {
    const cause = causes.get(analysis);
    if (cause && cause.first !== analysis) {
      card.append(element("p", "analysis text", `The same cause as in ${cause.names[0]}.`));
      continue;
    }
    card.append(...analysisParts(analysis));
    if (cause?.names.length > 1) card.append(element("p", "analysis text", `The same cause: ${otherNames(cause.names)}`));
  }
  card.append(...titled("Input", test.input), ...titled("Output", test.output));
  if (test.has_trace === true) {
    const draw = element("button", "draw", "Show how it happened");
    draw.type = "button";
    [draw.dataset.test, draw.dataset.name] = [String(test.test_id ?? test.test_name), test.test_name];
    card.append(draw, element("span", "quiet number", Number.isSafeInteger(test.seed) ? ` seed ${test.seed}` : ""));
  }
  if (typeof test.rerun === "string" && test.rerun) {
    const again = element("p", "", "Run it again: ");
    again.append(element("code", "text", test.rerun));
    card.append(again);
  }
  return card;
}

// A place in the code, as a link where the page shows that line.
function linked(place) {
  const text = place.line ? `${place.file}:${place.line}` : String(place.file);
  const line = lineOf(place);
  const made = element(line === null ? "span" : "a", "", text);
  if (line !== null) made.href = `#${line.id}`;
  return [made];
}

function titled(title, text) {
  if (text === undefined || text === null || text === "") return [];
  const all = String(text);
  const cut = all.length > MOST_INPUT && title === "Input" ? `${all.slice(0, MOST_INPUT)}…` : all;
  return [element("h4", "quiet", title), block(cut)];
}

function otherNames([, ...names]) {
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
  return names.slice(0, MOST_NAMES).join(", ") + more;
}

function analysisParts(analysis) {
  // On another platform `analysis` is an object.
  const object = typeof analysis.analysis === "object" && analysis.analysis !== null ? analysis.analysis : {};
  const said = String(object.explanation ?? (typeof analysis.analysis === "string" ? analysis.analysis : ""));
  const [prose, ...code] = said.split("\n\n");
  const parts = [element("p", "analysis text", prose)];
  if (code.length) parts.push(block(code.join("\n\n")));
  const suggestions = analysis.suggestions ?? object.suggestions;
  if (Array.isArray(suggestions) && suggestions.length) {
    const list = element("ul");
    list.append(...suggestions.slice(0, 20).map((suggestion) => element("li", "text", suggestion)));
    parts.push(list);
  }
  return parts;
}

function buildCard(log) {
  const card = element("article", "card");
  card.append(element("h3", "", "The build failed"), block(log));
  return card;
}
