// How statuses, times, sizes and points read. Pure: no page, socket or clock.

const GLYPHS = { __proto__: null, passed: "✓", failed: "✗", error: "!", skipped: "–" };
// Without a prototype, because keys come from outside. What is not known here is not shown.
const OUTCOMES = {
  __proto__: null,
  wrong_answer: ["WA", "wrong answer"],
  time_limit: ["TLE", "time limit exceeded"],
  memory_limit: ["MLE", "memory limit exceeded"],
  output_limit: ["OLE", "output limit exceeded"],
  runtime_error: ["RE", "runtime error"],
  protocol_error: ["PE", "protocol error"],
  skipped: ["SKIP", "skipped"],
  judge_error: ["JE", "the judge failed"],
};
const MOST_POINTS = 1e12;
const MOST_SLOWER = 2;

export function glyph(status) {
  return GLYPHS[status] ?? GLYPHS.failed;
}

// Any other status counts as failed.
export function counted(status) {
  return status in GLYPHS ? status : "failed";
}

export function isBad(test) {
  return test.status !== "passed" && test.status !== "skipped";
}

// The short and the long word for how a test ended, if it did not pass and the server says so.
export function outcome(test) {
  return test.status === "passed" || typeof test.outcome !== "string" ? null : (OUTCOMES[test.outcome] ?? null);
}

export function words(status) {
  return String(status).replaceAll("_", " ");
}

export function number(value) {
  return Number(value).toLocaleString("en");
}

export function duration(ms) {
  if (!(ms >= 0 && ms < 1e11)) return "";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 99_995) return `${(ms / 1000).toFixed(2)} s`;
  return `${Math.floor(ms / 60_000)}m ${String(Math.round(ms / 1000) % 60).padStart(2, "0")}s`;
}

// What has changed since the previous submission: "2 newly passing, Split vote 3 × slower"; empty if that is not known.
export function compared(comparison) {
  if (!Number.isSafeInteger(comparison?.previous) || comparison.previous <= 0) return "";
  const { newly_passing: passing, newly_failing: failing, slower } = comparison;
  const parts = [];
  if (passing > 0) parts.push(`${number(passing)} newly passing`);
  if (failing > 0) parts.push(`${number(failing)} newly failing`);
  const tests = (Array.isArray(comparison.tests) ? comparison.tests : []).filter((test) => test?.change === "slower");
  if (slower > MOST_SLOWER || tests.length < slower) parts.push(`${number(slower)} slower`);
  else parts.push(...tests.map((test) => `${test.test_name}${ratio(test)} slower`));
  return parts.join(", ") || "every test ended as before";
}

function ratio({ before_ms: before, duration_ms: now }) {
  const times = now / before;
  if (!(times > 1 && times < 1e6)) return "";
  return ` ${times < 10 ? Math.round(times * 10) / 10 : number(Math.round(times))} ×`;
}

export function memory(kb) {
  if (!(kb >= 0 && kb < 1e12)) return "";
  let [value, unit] = [kb, "KB"];
  for (const larger of ["MB", "GB", "TB"]) if (value >= 999.5) [value, unit] = [value / 1024, larger];
  return `${unit !== "KB" && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

// "40 of 100 points"; empty where there are none, or there was nothing to win.
export function points({ score, max_score: most }) {
  if (!isPoints(score) || (score === 0 && most === 0)) return "";
  const got = amount(score);
  return isPoints(most) ? `${got} of ${amount(most)} ${amount(most) === "1" ? "point" : "points"}` : `${got} ${got === "1" ? "point" : "points"}`;
}

export function isPoints(value) {
  return typeof value === "number" && Math.abs(value) < MOST_POINTS;
}

export function amount(value) {
  return (Math.round(value * 100) / 100 || 0).toLocaleString("en", { useGrouping: false });
}

// What is known of a test's time, memory and points.
export function facts(test) {
  const cpu = typeof test.cpu_ms === "number" ? duration(test.cpu_ms) : "";
  const used = typeof test.memory_kb === "number" ? memory(test.memory_kb) : "";
  return [cpu && `cpu ${cpu}`, used, points(test)].filter(Boolean);
}
