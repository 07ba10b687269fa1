// The picture of one submission, and what a message changes in it. No page, no socket, no clock.

// No prototype: what comes from outside is looked up in them.
const RANKS = { __proto__: null, pending: 0, queued: 0, submitted: 0, building: 1, built: 2, deploying: 3, testing: 4, running: 4 };
const FINAL = new Set(["completed", "failed", "build_failed", "deploy_failed", "validation_failed", "cancelled"]);
const MOST_ANALYSES = 100;

export function isFinal(status) {
  return FINAL.has(status);
}

export class Submission {
  constructor(id) {
    this.id = id;
    this.problem = "";
    this.language = "";
    this.status = "";
    this.stages = [];
    this.attempt = 1;
    this.queuePosition = null;
    this.total = null;
    this.tests = new Map();
    this.counts = { passed: 0, failed: 0, error: 0, skipped: 0 };
    this.analyses = new Map();
    this.buildLog = "";
    this.seq = 0;
    this.startedAt = null;
    this.verdict = null;
    this.summary = null;
  }

  // What the snapshot knows beside the events.
  describe(snapshot) {
    this.problem = text(snapshot.problem ?? snapshot.problem_id);
    this.language = text(snapshot.language);
    this.buildLog = text(snapshot.build_log);
    this.startedAt ??= text(snapshot.created_at);
  }

  // Take one message in. "new": something changed; "seen": known already; "hole": others come before it;
  // "bad": no message of this submission.
  receive(message) {
    if (!isMessage(message) || ("submission_id" in message && message.submission_id !== this.id)) return "bad";
    const numbered = Number.isSafeInteger(message.seq);
    if (numbered && message.seq <= this.seq) return "seen";
    if (numbered && message.seq > this.seq + 1) return "hole";
    const change = CHANGES[message.type]?.(this, message);
    if (change === false) return "bad";
    if (numbered) this.seq = message.seq;
    this.startedAt ??= text(message.timestamp);
    return change === undefined ? "seen" : "new";
  }
}

const CHANGES = {
  __proto__: null,
  status_update(picture, message) {
    if (typeof message.status !== "string") return false;
    if (Number.isInteger(message.attempt) && message.attempt > picture.attempt) {
      picture.attempt = message.attempt;
      picture.stages = [];
      picture.status = "";
    }
    if ((RANKS[message.status] ?? 9) < (RANKS[picture.status] ?? (picture.status ? 9 : 0))) return undefined;
    if (message.status !== picture.status) {
      picture.status = message.status;
      if (!picture.stages.includes(message.status)) picture.stages.push(message.status);
    }
    if (message.total_tests > 0) picture.total = message.total_tests;
    picture.queuePosition = message.status === picture.stages[0] ? message.queue_position ?? null : null;
    return true;
  },

  test_result(picture, message) {
    if (typeof message.test_name !== "string" || typeof message.status !== "string") return false;
    const key = typeof message.test_id === "string" ? message.test_id : message.test_name;
    const before = picture.tests.get(key);
    if (before) picture.counts[counted(before.status)] -= 1;
    // Anew, so that the map keeps the order of arrival.
    picture.tests.delete(key);
    picture.tests.set(key, message);
    picture.counts[counted(message.status)] += 1;
    return true;
  },

  error_analysis(picture, message) {
    if (typeof message.error !== "string") return false;
    const key = JSON.stringify([message.test_id ?? message.test_name ?? "", message.error, message.analysis]);
    if (picture.analyses.has(key)) return undefined;
    if (picture.analyses.size >= MOST_ANALYSES) picture.analyses.delete(picture.analyses.keys().next().value);
    picture.analyses.set(key, message);
    return true;
  },

  complete(picture, message) {
    if (typeof message.final_status !== "string") return false;
    picture.verdict = message.final_status;
    picture.summary = typeof message.summary === "object" ? message.summary : null;
    return true;
  },
};

// What a look at REST tells, as the messages that were missed; for where no socket can be had.
export function missed(picture, snapshot, tests) {
  const messages = [{ type: "status_update", status: snapshot.status, total_tests: snapshot.total_tests }];
  for (const test of tests) {
    const { seq: _seq, error_analysis: analysis, ...result } = test;
    messages.push({ ...result, type: "test_result" });
    if (analysis && typeof analysis === "object") messages.push({ test_id: test.test_id, ...analysis, seq: undefined, type: "error_analysis" });
  }
  const verdict = snapshot.final_status ?? (isFinal(snapshot.status) ? verdictOf(snapshot.status, tests) : null);
  if (verdict) messages.push({ type: "complete", final_status: verdict, summary: snapshot.summary });
  return messages.map((message) => ({ ...message, submission_id: picture.id }));
}

function verdictOf(status, tests) {
  if (status !== "completed") return status === "cancelled" || status === "build_failed" ? status : "failed";
  if (tests.length === 0) return null;
  return tests.some((test) => test.status === "failed" || test.status === "error") ? "failed" : "passed";
}

function isMessage(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && typeof value.type === "string";
}

function counted(status) {
  return ["passed", "error", "skipped"].includes(status) ? status : "failed";
}

function text(value) {
  return value === null || value === undefined ? "" : String(value);
}
