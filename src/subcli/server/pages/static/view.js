// Renders the state.

import { cards } from "./cards.js";
import { showNotes } from "./code.js";
import { element, keep, printable } from "./dom.js";
import { showOutput } from "./output.js";
import { isFinal } from "./state.js";
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
  showNotes(submission.analyses.values());
  showGroups(submission);
  showTests(submission);
  showOutput(submission);
}

export function showTitle(submission) {
  at("title").textContent = `Submission #${submission.id}`;
  // The server knows more than its id: its title, and where its page is.
  if (at("problem").textContent === "") at("problem").textContent = printable(submission.problem);
  at("language").textContent = printable(submission.language);
  const word = submission.verdict ?? submission.status;
  const tone = submission.verdict === null ? "is-going" : (TONES[submission.verdict] ?? "is-bad");
  at("badge").hidden = !word;
  at("badge").className = `badge ${tone}`;
  const said = printable(`${submission.verdict === null ? "…" : glyph(submission.verdict)} ${words(word)}`);
  if (at("badge").textContent !== said) at("badge").textContent = said;
  const mark = submission.verdict === null ? "…" : glyph(submission.verdict);
  document.title = printable(`${word ? `${mark} ${words(word)} · ` : ""}#${submission.id} ${submission.problem}`);
}

export function showConnection(state, text) {
  at("connection").hidden = false;
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
  // The last one is the verdict, which stands above.
  const passed = submission.verdict === null ? submission.stages : submission.stages.filter((stage) => !isFinal(stage));
  const stages = passed.map((stage, place) => {
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
  const said = submission.verdict === null ? "" : summaryOf(submission);
  if (at("summary").textContent !== said) at("summary").textContent = said;
  showComparison(submission);
  at("notice").hidden = submission.notice === "";
  at("notice").textContent = printable(submission.notice);
  at("unshown").hidden = !decidedUnseen(submission);
  // Screen readers announce the stage, failures and the verdict, not every test. The verdict and the stage stand above.
  const news = submission.verdict === null && failed + error ? `${failed + error} not passed` : "";
  if (at("news").textContent !== printable(news)) at("news").textContent = printable(news);
}

// What has changed since the previous submission, with a link to it.
function showComparison({ id, verdict, comparedTo }) {
  const said = verdict === null ? "" : compared(comparedTo);
  at("compared").hidden = said === "";
  if (said === "") return;
  // Judged again, it is compared with its own earlier run.
  const run = Number.isSafeInteger(comparedTo.previous_run) ? comparedTo.previous_run : null;
  const link = element("a", "", run === null ? `#${comparedTo.previous}` : `run ${run}`);
  link.href = run === null ? String(comparedTo.previous) : `${id}?run=${run}`;
  at("compared").replaceChildren("Since ", link, `: ${printable(said)}`);
}

function summaryOf(submission) {
  const said = submission.summary ?? {};
  const { passed, failed, error, skipped } = submission.counts;
  const total = said.total_tests ?? passed + failed + error + skipped;
  const counts = total > 0 ? `${number(said.passed ?? passed)} of ${number(total)} ${total === 1 ? "test" : "tests"} passed` : "";
  const needed = isPoints(said.pass_score) ? ` (${amount(said.pass_score)} needed)` : "";
  const won = points(said) ? `${counts ? ", " : ""}${points(said)}${needed}` : "";
  const time = said.duration_ms > 0 ? ` in ${duration(said.duration_ms)}` : "";
  return printable(`${counts}${won}${time}`.trim());
}

// Whether a submission failed though all that is shown has passed: then tests that nobody is told of have decided.
function decidedUnseen({ verdict, counts, analyses, summary }) {
  return verdict === "failed" && counts.passed > 0 && counts.failed + counts.error + counts.skipped === 0 && analyses.size === 0 && !isPoints(summary?.score);
}
