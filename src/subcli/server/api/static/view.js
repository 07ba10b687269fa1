// Renders the state. Text from outside becomes text nodes, never markup.

const MOST_ROWS = 300;
const MOST_CARDS = 50;
const MOST_NAMES = 20;
const GLYPHS = { __proto__: null, passed: "✓", failed: "✗", error: "!", skipped: "–" };
const TONES = { __proto__: null, passed: "is-good", error: "is-warn" };
const at = (id) => document.getElementById(id);

// Escapes control characters, and characters that reorder or hide text.
export function printable(value) {
  const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
  return String(value).replace(hidden, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function show(submission) {
  at("live").hidden = false;
  showTitle(submission);
  showStages(submission);
  showProgress(submission);
  showCards(submission);
  showTests(submission);
}

export function showTitle(submission) {
  at("title").textContent = `Submission #${submission.id}`;
  at("about").textContent = printable([submission.problem, submission.language].filter(Boolean).join(" · "));
  const word = submission.verdict ?? submission.status;
  const tone = submission.verdict === null ? "is-going" : (TONES[submission.verdict] ?? "is-bad");
  at("badge").hidden = !word;
  at("badge").className = `badge ${tone}`;
  at("badge").textContent = printable(words(word));
  const glyph = submission.verdict === null ? "…" : (GLYPHS[submission.verdict] ?? "✗");
  document.title = printable(`${word ? `${glyph} ${words(word)} · ` : ""}#${submission.id} ${submission.problem}`);
}

export function showConnection(state, text) {
  at("connection").dataset.state = state;
  at("connection-text").textContent = printable(text);
}

export function showTime(submission, now) {
  const started = Date.parse(submission.startedAt);
  const seconds = Math.max(0, Math.floor((now - started) / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const two = (value) => String(value).padStart(2, "0");
  const clock = hours ? `${hours}:${two(minutes)}` : String(minutes);
  at("time").textContent = Number.isFinite(started) && submission.verdict === null ? `${clock}:${two(seconds % 60)}` : "";
}

function showStages(submission) {
  const stages = submission.stages.map((stage, place) => {
    const item = element("li", "text", words(stage));
    const isPresent = place === submission.stages.length - 1 && submission.verdict === null;
    if (isPresent) item.setAttribute("aria-current", "step");
    if (isPresent && submission.queuePosition > 0) item.append(` (place ${submission.queuePosition})`);
    return item;
  });
  if (submission.attempt > 1) stages.unshift(element("li", "", `attempt ${submission.attempt}`));
  at("stages").replaceChildren(...stages);
}

function showProgress(submission) {
  const { passed, failed, error, skipped } = submission.counts;
  const done = passed + failed + error + skipped;
  const bar = at("progress");
  const total = Math.max(submission.total ?? 0, submission.verdict === null ? 0 : done);
  bar.hidden = submission.verdict !== null && done === 0;
  if (total > 0) [bar.max, bar.value] = [total, Math.min(done, total)];
  else bar.removeAttribute("value");
  bar.style.setProperty("--share", `${done ? ((passed + skipped) / done) * 100 : 100}%`);
  const counts = Object.entries(submission.counts).filter(([, count]) => count > 0);
  const parts = counts.map(([word, count]) => element("span", word, `${GLYPHS[word]} ${number(count)} ${word}`));
  if (submission.total > done && submission.verdict === null) parts.push(element("span", "quiet", `${number(done)} of ${number(submission.total)}`));
  at("counts").replaceChildren(...parts);
  at("summary").hidden = submission.verdict === null;
  if (submission.verdict !== null) at("summary").textContent = summaryOf(submission);
  // Screen readers announce failures and the verdict, not every test.
  const news = submission.verdict === null ? (failed + error ? `${failed + error} not passed` : words(submission.status)) : summaryOf(submission);
  if (at("news").textContent !== printable(news)) at("news").textContent = printable(news);
}

function summaryOf(submission) {
  const said = submission.summary ?? {};
  const { passed, failed, error, skipped } = submission.counts;
  const total = said.total_tests ?? passed + failed + error + skipped;
  const word = words(submission.verdict);
  const counts = total > 0 ? `: ${number(said.passed ?? passed)} of ${number(total)} ${total === 1 ? "test" : "tests"} passed` : "";
  const time = said.duration_ms > 0 ? ` in ${duration(said.duration_ms)}` : "";
  return printable(`${word.charAt(0).toUpperCase()}${word.slice(1)}${counts}${time}`);
}

function showCards(submission) {
  const about = new Map();
  const alone = [];
  for (const analysis of submission.analyses.values()) {
    const key = analysis.test_id ?? analysis.test_name;
    if (submission.tests.has(key)) about.set(key, [...(about.get(key) ?? []), analysis]);
    else alone.push(analysis);
  }
  const causes = sharedCauses(submission.tests, about);
  const cards = [];
  for (const [key, test] of submission.tests) {
    if (test.status === "passed" || test.status === "skipped") continue;
    cards.push(failureCard(test, about.get(key) ?? [], causes));
    if (cards.length >= MOST_CARDS) break;
  }
  cards.push(...alone.slice(-MOST_CARDS).map((analysis) => failureCard({ test_name: analysis.test_name, message: analysis.error }, [analysis])));
  if (submission.buildLog && submission.verdict === "build_failed") cards.push(buildCard(submission.buildLog));
  at("failures").hidden = cards.length === 0;
  keepOpen(at("cards"), cards);
}

// Tests that fail for one cause: the card of the first tells it and names the others. What a test's own message says is
// no part of the cause, unless it is which answer is wrong.
function sharedCauses(tests, about) {
  const known = new Map();
  const causes = new Map();
  for (const [key, test] of tests) {
    if (test.status === "passed" || test.status === "skipped") continue;
    for (const analysis of about.get(key) ?? []) {
      const { category, location, suggestions, error, analysis: text } = analysis;
      const message = category === "wrong_answer" ? "" : test.message;
      const told = JSON.stringify([category, location, suggestions, without(error, message), without(text, message)]);
      if (!known.has(told)) known.set(told, { first: analysis, names: [] });
      const cause = known.get(told);
      cause.names.push(test.test_name ?? String(key));
      causes.set(analysis, cause);
    }
  }
  return causes;
}

function without(text, message) {
  return typeof text === "string" && message ? text.replaceAll(message, "") : text;
}

// Replaces only children that changed, to keep selections and the reading position.
function keepOpen(parent, children) {
  children.forEach((child, place) => {
    const present = parent.children[place];
    if (!present) parent.append(child);
    else if (!present.isEqualNode(child)) present.replaceWith(child);
  });
  while (parent.children.length > children.length) parent.lastChild.remove();
}

function failureCard(test, analyses, causes = new Map()) {
  const card = element("article", "card");
  const why = test.message ?? analyses[0]?.error;
  card.append(element("h3", "text", test.test_name ?? why ?? "Failure"));
  if (why && test.test_name) card.append(element("p", "why bad text", why));
  const facts = [["expected", test.expected], ["actual", test.actual]].filter(([, value]) => value !== undefined && value !== null);
  for (const { location: place } of analyses) if (place?.file) facts.push(["in", place.line ? `${place.file}:${place.line}` : place.file]);
  if (facts.length) {
    const list = element("dl");
    for (const [name, value] of facts) list.append(element("dt", "", name), element("dd", "text", shown(value)));
    card.append(list);
  }
  for (const analysis of analyses) {
    const cause = causes.get(analysis);
    if (cause && cause.first !== analysis) {
      card.append(element("p", "analysis text", `The same cause as in ${cause.names[0]}.`));
      continue;
    }
    card.append(...analysisParts(analysis));
    if (cause?.names.length > 1) card.append(element("p", "analysis text", `The same cause: ${otherNames(cause.names)}`));
  }
  if (test.input) card.append(element("p", "text", "input"), element("pre", "text", test.input));
  if (test.rerun) card.append(element("p", "text", `Run it again: ${test.rerun}`));
  if (test.output) card.append(element("pre", "text", test.output));
  return card;
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
  if (code.length) parts.push(element("pre", "text", code.join("\n\n")));
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
  card.append(element("h3", "", "The build failed"), element("pre", "text", log));
  return card;
}

function showTests(submission) {
  const all = [...submission.tests.values()].reverse();
  const isBad = (test) => test.status !== "passed" && test.status !== "skipped";
  const ordered = [...all.filter(isBad), ...all.filter((test) => !isBad(test))];
  at("results").hidden = ordered.length === 0;
  keepOpen(at("tests"), ordered.slice(0, MOST_ROWS).map(row));
  const left = ordered.length - MOST_ROWS;
  at("more").textContent = left > 0 ? `… ${number(left)} more` : "";
}

function row(test) {
  const status = Object.hasOwn(GLYPHS, test.status) ? test.status : "failed";
  const line = element("tr", status);
  const result = element("td");
  const glyph = element("span", "glyph", GLYPHS[status]);
  glyph.setAttribute("aria-hidden", "true");
  result.append(glyph, element("span", "text", ` ${test.status}`));
  const name = element("td");
  name.append(element("span", "text", test.test_name));
  if (typeof test.test_type === "string") name.append(element("span", "kind text", test.test_type));
  line.append(result, name, element("td", "number", duration(test.duration_ms)));
  return line;
}

function element(name, classes = "", text = "") {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (text !== "") made.textContent = printable(text);
  return made;
}

function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function words(status) {
  return String(status).replaceAll("_", " ");
}

function number(value) {
  return Number(value).toLocaleString("en");
}

function duration(ms) {
  if (!(ms >= 0 && ms < 1e11)) return "";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 99_995) return `${(ms / 1000).toFixed(2)} s`;
  return `${Math.floor(ms / 60_000)}m ${String(Math.round(ms / 1000) % 60).padStart(2, "0")}s`;
}
