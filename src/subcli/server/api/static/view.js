// Renders the state.

import { cards } from "./cards.js";
import { element, keep, printable } from "./dom.js";
import { showOutput } from "./output.js";
import { showGroups, showTests } from "./tables.js";
import { amount, compared, duration, glyph, isPoints, number, points, words } from "./words.js";

const TONES = { __proto__: null, passed: "is-good", error: "is-warn" };
const at = (id) => document.getElementById(id);

export function show(submission) {
  at("live").hidden = false;
  showTitle(submission);
  showStages(submission);
  showProgress(submission);
  const made = cards(submission);
  at("failures").hidden = made.length === 0;
  keep(at("cards"), made);
  showGroups(submission);
  showTests(submission);
  showOutput(submission);
}

export function showTitle(submission) {
  at("title").textContent = `Submission #${submission.id}`;
  at("about").textContent = printable([submission.problem, submission.language].filter(Boolean).join(" · "));
  const word = submission.verdict ?? submission.status;
  const tone = submission.verdict === null ? "is-going" : (TONES[submission.verdict] ?? "is-bad");
  at("badge").hidden = !word;
  at("badge").className = `badge ${tone}`;
  at("badge").textContent = printable(words(word));
  const mark = submission.verdict === null ? "…" : glyph(submission.verdict);
  document.title = printable(`${word ? `${mark} ${words(word)} · ` : ""}#${submission.id} ${submission.problem}`);
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
  showRunning(submission, now);
  at("time").textContent = Number.isFinite(started) && submission.verdict === null ? `${clock}:${two(seconds % 60)}` : "";
}

// The test that runs, and for how long. The page has no other sign that it is not stuck.
function showRunning({ running, verdict }, now) {
  at("running").hidden = running === null || verdict !== null;
  if (at("running").hidden) return;
  const told = Date.parse(running.at);
  const ms = running.ms + (Number.isFinite(told) ? Math.max(0, now - told) : 0);
  at("running").textContent = printable(`Running: ${running.name}, ${Math.floor(ms / 1000)} s`);
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
  const parts = counts.map(([word, count]) => element("span", word, `${glyph(word)} ${number(count)} ${word}`));
  if (submission.total > done && submission.verdict === null) parts.push(element("span", "quiet", `${number(done)} of ${number(submission.total)}`));
  at("counts").replaceChildren(...parts);
  at("summary").hidden = submission.verdict === null;
  if (submission.verdict !== null) at("summary").textContent = summaryOf(submission);
  showComparison(submission);
  at("notice").hidden = submission.notice === "";
  at("notice").textContent = printable(submission.notice);
  at("unshown").hidden = !decidedUnseen(submission);
  // Screen readers announce failures and the verdict, not every test.
  const news = submission.verdict === null ? (failed + error ? `${failed + error} not passed` : words(submission.status)) : summaryOf(submission);
  if (at("news").textContent !== printable(news)) at("news").textContent = printable(news);
}

// What has changed since the previous submission, with a link to it.
function showComparison({ verdict, comparedTo }) {
  const said = verdict === null ? "" : compared(comparedTo);
  at("compared").hidden = said === "";
  if (said === "") return;
  const link = element("a", "", `#${comparedTo.previous}`);
  link.href = String(comparedTo.previous);
  at("compared").replaceChildren("Since ", link, `: ${printable(said)}`);
}

function summaryOf(submission) {
  const said = submission.summary ?? {};
  const { passed, failed, error, skipped } = submission.counts;
  const total = said.total_tests ?? passed + failed + error + skipped;
  const word = words(submission.verdict);
  const counts = total > 0 ? `: ${number(said.passed ?? passed)} of ${number(total)} ${total === 1 ? "test" : "tests"} passed` : "";
  const needed = isPoints(said.pass_score) ? ` (${amount(said.pass_score)} needed)` : "";
  const won = points(said) ? `${counts ? "," : ":"} ${points(said)}${needed}` : "";
  const time = said.duration_ms > 0 ? ` in ${duration(said.duration_ms)}` : "";
  return printable(`${word.charAt(0).toUpperCase()}${word.slice(1)}${counts}${won}${time}`);
}

// Whether a submission failed though all that is shown has passed: then tests that nobody is told of have decided.
function decidedUnseen({ verdict, counts, analyses, summary }) {
  return verdict === "failed" && counts.passed > 0 && counts.failed + counts.error + counts.skipped === 0 && analyses.size === 0 && !isPoints(summary?.score);
}
