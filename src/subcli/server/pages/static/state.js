// The state of one submission, and how messages change it. Pure: no page, socket or clock.

import { Printed } from "./output.js";

// Without a prototype, because keys come from outside.
const RANKS = { __proto__: null, pending: 0, queued: 0, submitted: 0, building: 1, built: 2, deploying: 3, testing: 4, running: 4 };
const FINAL = new Set(["completed", "failed", "build_failed", "deploy_failed", "validation_failed", "cancelled"]);
const MOST_ANALYSES = 100;
const MOST_GROUPS = 50;
const MOST_TALLIES = 1000;

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
    // How the tests of each group have ended, by its name.
    this.tallies = new Map();
    this.counts = { passed: 0, failed: 0, error: 0, skipped: 0 };
    this.analyses = new Map();
    this.buildLog = "";
    // What is no longer there, in a sentence.
    this.notice = "";
    this.seq = 0;
    this.epoch = null;
    this.startedAt = null;
    this.verdict = null;
    this.summary = null;
    this.printed = new Printed();
    // Whether to ask for what is printed, and how to ask on an open socket, if there is one.
    this.wantsOutput = false;
    this.reopen = null;
    this.comparedTo = null;
    this.running = null;
  }

  // Takes what only the snapshot contains.
  describe(snapshot) {
    this.problem = text(snapshot.problem ?? snapshot.problem_id);
    this.language = text(snapshot.language);
    this.buildLog = text(snapshot.build_log);
    this.notice = text(snapshot.notice);
    this.startedAt ??= text(snapshot.created_at);
  }

  // Returns whether a log with this name and this end can be the one that was followed. After a restored backup, the
  // same id may be another submission, or its log may be shorter. The first name that is known counts.
  isSameLog(epoch, lastSeq) {
    const isNamed = typeof epoch === "string" && epoch !== "";
    if (isNamed) this.epoch ??= epoch;
    return (!isNamed || epoch === this.epoch) && !(Number.isInteger(lastSeq) && lastSeq < this.seq);
  }

  // Applies a message. Returns "new" if something changed, "seen" if it was known, "hole" if earlier messages are
  // missing, "replaced" if it is of another log, or "bad" if it is not a valid message of this submission.
  receive(message) {
    if (!isMessage(message) || ("submission_id" in message && message.submission_id !== this.id)) return "bad";
    const numbered = Number.isSafeInteger(message.seq);
    if (message.seq === 1 && !this.isSameLog(message.epoch)) return "replaced";
    if (numbered && message.seq <= this.seq) return "seen";
    if (numbered && message.seq > this.seq + 1) return "hole";
    const change = CHANGES[message.type]?.(this, message);
    if (change === false) return "bad";
    if (numbered) this.seq = message.seq;
    this.startedAt ??= text(message.timestamp);
    return change === undefined ? "seen" : "new";
  }

  // The groups of tests: those that the verdict tells of, then others that have tests. `passed` and `done` count their
  // tests, and those of the groups in them: `secret/small` is in `secret`. Points come with the verdict. The page asks
  // at each change, so the cost does not grow with the number of tests.
  groups() {
    const told = Array.isArray(this.summary?.groups) ? this.summary.groups.filter((group) => isName(group?.name)) : [];
    const groups = new Map(told.slice(0, MOST_GROUPS).map((group) => [group.name, { ...group, passed: 0, done: 0, failed: 0 }]));
    for (const [name, { passed, done, failed }] of this.tallies) {
      if (done > 0 && !groups.has(name) && groups.size < MOST_GROUPS) groups.set(name, { name, passed: 0, done: 0, failed: 0 });
      for (const one of groups.values()) {
        if (name !== one.name && !("outcome" in one && name.startsWith(`${one.name}/`))) continue;
        one.done += done;
        one.passed += passed;
        one.failed += failed;
      }
    }
    return [...groups.values()].map((group) => ({ ...group, status: statusOf(group) }));
  }

  // Counts a result, or with -1 one that another result of the same test replaces.
  tally({ group, status }, by) {
    this.counts[counted(status)] += by;
    if (!isName(group) || (!this.tallies.has(group) && this.tallies.size >= MOST_TALLIES)) return;
    const tally = this.tallies.get(group) ?? { passed: 0, done: 0, failed: 0 };
    this.tallies.set(group, tally);
    tally.done += by;
    if (status === "passed") tally.passed += by;
    else if (status !== "skipped") tally.failed += by;
  }
}

const CHANGES = {
  __proto__: null,
  status_update(submission, message) {
    if (typeof message.status !== "string") return false;
    if (Number.isInteger(message.attempt) && message.attempt > submission.attempt) {
      submission.attempt = message.attempt;
      submission.stages = [];
      submission.status = "";
      submission.analyses.clear();
    }
    if ((RANKS[message.status] ?? 9) < (RANKS[submission.status] ?? (submission.status ? 9 : 0))) return undefined;
    if (message.status !== submission.status) {
      submission.status = message.status;
      if (!submission.stages.includes(message.status)) submission.stages.push(message.status);
    }
    if (message.total_tests > 0) submission.total = message.total_tests;
    const isNamed = typeof message.running_test === "string" && message.running_test !== "";
    submission.running = isNamed ? { name: message.running_test, ms: Number(message.running_ms) || 0, at: message.timestamp } : null;
    submission.queuePosition = message.status === submission.stages[0] ? message.queue_position ?? null : null;
    return true;
  },

  test_result(submission, message) {
    if (typeof message.test_name !== "string" || typeof message.status !== "string") return false;
    submission.running = null;
    const key = typeof message.test_id === "string" ? message.test_id : message.test_name;
    const before = submission.tests.get(key);
    if (before) submission.tally(before, -1);
    // Deleted first, so that the map keeps the order of arrival.
    submission.tests.delete(key);
    submission.tests.set(key, message);
    submission.tally(message, 1);
    return true;
  },

  error_analysis(submission, message) {
    if (typeof message.error !== "string") return false;
    const key = JSON.stringify([message.test_id ?? message.test_name ?? "", message.error, message.analysis]);
    if (submission.analyses.has(key)) return undefined;
    if (submission.analyses.size >= MOST_ANALYSES) submission.analyses.delete(submission.analyses.keys().next().value);
    submission.analyses.set(key, message);
    return true;
  },

  output(submission, message) {
    return submission.printed.receive(message);
  },

  complete(submission, message) {
    if (typeof message.final_status !== "string") return false;
    submission.verdict = message.final_status;
    submission.summary = typeof message.summary === "object" ? message.summary : null;
    submission.comparedTo = typeof message.compared_to === "object" ? message.compared_to : null;
    submission.running = null;
    return true;
  },
};

// Turns a snapshot and results from REST into the messages that were missed, for polling.
export function missed(submission, snapshot, tests) {
  const messages = [{ type: "status_update", status: snapshot.status, total_tests: snapshot.total_tests }];
  for (const test of tests) {
    const { seq: _seq, error_analysis: analysis, ...result } = test;
    messages.push({ ...result, type: "test_result" });
    if (analysis && typeof analysis === "object") messages.push({ test_id: test.test_id, ...analysis, seq: undefined, type: "error_analysis" });
  }
  const verdict = snapshot.final_status ?? (isFinal(snapshot.status) ? verdictOf(snapshot.status, tests) : null);
  if (verdict) messages.push({ type: "complete", final_status: verdict, summary: snapshot.summary, compared_to: snapshot.compared_to });
  return messages.map((message) => ({ ...message, submission_id: submission.id }));
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

// One test of a group may fail where another one suffices, so the server has the last word.
function statusOf({ outcome, passed, failed }) {
  if (typeof outcome === "string") return ["passed", "skipped"].includes(outcome) ? outcome : "failed";
  return failed ? "failed" : passed ? "passed" : "skipped";
}

function isName(value) {
  return typeof value === "string" && value !== "";
}

function text(value) {
  return value === null || value === undefined ? "" : String(value);
}
