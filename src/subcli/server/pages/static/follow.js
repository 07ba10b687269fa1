// Follows one submission to its verdict over the specification's WebSocket, and reconnects if necessary.
// Where WebSockets do not work, polls REST.

import { Refused } from "./api.js";
import * as reconnect from "./reconnect.js";
import { missed } from "./state.js";

export class LoginNeeded extends Error {}
export class NotFound extends Error {}
export class GivenUp extends Error {}
export class Replaced extends GivenUp {
  constructor() {
    super("The server's records were replaced. Reload the page to see what is there now.");
  }
}

// Resolves at the verdict. `say(state, text)` reports the connection, `changed()` every change.
export async function follow(submission, api, say, changed) {
  let attempts = 0;
  for (;;) {
    say("connecting", "connecting");
    const end = await connect(submission, api, say, changed);
    if (submission.verdict !== null) return say("closed", "ended");
    if (end.isReopening) continue;
    if (end.progressed) attempts = 0;
    const what = end.tooManyBadFrames ? "give up" : reconnect.meaning(end.code);
    if (what === "absent") throw new NotFound();
    if (what === "replaced") throw new Replaced();
    if (what === "stop") throw new GivenUp(`The server closed the connection (${end.code} ${end.reason}).`);
    if (what === "login") throw new LoginNeeded();
    if (what === "give up" || attempts >= reconnect.MAX_ATTEMPTS) return poll(submission, api, say, changed);
    attempts += 1;
    const retryAfter = end.retryAfter || reconnect.retryAfterFromReason(end.reason);
    const seconds =
      what === "limited" ? reconnect.rateLimitDelay(attempts, Math.random(), retryAfter) : reconnect.backoff(attempts, Math.random());
    await countdown(seconds, (left) => say("reconnecting", `${end.words}, reconnecting in ${left} s`));
  }
}

// Gets what was printed, over REST: where there is no socket, and when the submission has ended.
export async function fetchOutput(submission, api) {
  if (!submission.wantsOutput) return;
  for (let more = true; more; ) {
    const page = await api.get(`/submissions/${submission.id}/output?output_after=${submission.printed.seq}`);
    for (const piece of page.output) submission.receive(piece);
    more = page.more === true && page.output.length > 0;
  }
}

// Opens one socket and resolves when it has ended.
async function connect(submission, api, say, changed) {
  let token = "";
  try {
    // A link's token stays out of the URL. A login needs none: the browser adds its cookie.
    if (api.byLink) token = (await api.post(`/submissions/${submission.id}/watch-token`)).token;
  } catch (error) {
    return refused(error);
  }
  const query = new URLSearchParams(token ? { token } : {});
  if (submission.seq) query.set("after_seq", submission.seq);
  if (submission.epoch) query.set("epoch", submission.epoch);
  if (submission.wantsOutput) query.set("events", "output");
  if (submission.wantsOutput && submission.printed.seq) query.set("output_after", submission.printed.seq);
  const url = new URL(`../ws/submissions/${submission.id}?${query}`, location.href.replace(/^http/, "ws"));
  const socket = new WebSocket(url);
  return new Promise((resolve) => new Wire(socket, submission, api, say, changed, resolve));
}

function refused(error) {
  if (!(error instanceof Refused)) return { code: 1006, reason: "", words: "connection lost", progressed: false };
  const code = { 401: 4003, 404: 4004, 429: 4029 }[error.status] ?? 1011;
  return { code, reason: error.message, words: error.message, retryAfter: error.retryAfter, progressed: false };
}

// Listens to one socket, sends pings, and detects when the connection is dead.
class Wire {
  #bad = 0;
  #progressed = false;
  #fetching = null;
  #waiting = [];

  constructor(socket, submission, api, say, changed, resolve) {
    Object.assign(this, { socket, submission, api, changed, resolve });
    submission.reopen = () => this.#end(1000, "", { isReopening: true });
    this.stable = null;
    this.dead = null;
    this.heartbeat = setInterval(() => this.#ping(), reconnect.PING_S * 1000);
    socket.onopen = () => {
      say("open", "live");
      this.stable = setTimeout(() => (this.#progressed = true), reconnect.STABLE_S * 1000);
    };
    socket.onmessage = (event) => this.#frame(event.data);
    socket.onclose = (event) => this.#end(event.code, event.reason);
    // The socket may take long to notice that the network is gone.
    this.offline = () => this.#end(1006, "");
    addEventListener("offline", this.offline);
  }

  #ping() {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send("ping");
    this.dead ??= setTimeout(() => this.#end(1006, "no answer"), reconnect.ANSWER_S * 1000);
  }

  #frame(data) {
    clearTimeout(this.dead);
    this.dead = null;
    // The specification's heartbeats are plain text, in both directions.
    if (data === "pong") return;
    if (data === "ping") return this.socket.send("pong");
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return this.#badFrame();
    }
    if (this.#fetching) this.#waiting.push(message);
    else this.#apply(message);
  }

  #apply(message) {
    const what = this.submission.receive(message);
    if (what === "bad") return this.#badFrame();
    if (what === "replaced") return this.#end(reconnect.REPLACED, "");
    this.#bad = 0;
    if (what === "hole") return this.#fetchMissing(message);
    if (what === "new") {
      this.#progressed = true;
      this.changed();
    }
    if (this.submission.verdict !== null) this.#end(1000, "");
  }

  // Fetches missing events, in order. Messages that arrive in the meantime wait.
  async #fetchMissing(message) {
    this.#waiting.push(message);
    this.#fetching = this.api.get(`/submissions/${this.submission.id}/events?after_seq=${this.submission.seq}`);
    try {
      const { events, epoch, last_seq: lastSeq } = await this.#fetching;
      if (!this.submission.isSameLog(epoch, lastSeq)) return this.#end(reconnect.REPLACED, "");
      const before = this.submission.seq;
      for (const event of events) this.#apply(event);
      if (this.submission.seq === before) throw new Error("the log has a gap too");
    } catch {
      return this.#end(1006, "");
    }
    this.#fetching = null;
    for (const waiting of this.#waiting.splice(0)) this.#apply(waiting);
  }

  #badFrame() {
    this.#bad += 1;
    if (this.#bad >= reconnect.BAD_FRAMES) this.#end(1006, "", { tooManyBadFrames: true });
  }

  #end(code, reason, more = {}) {
    this.submission.reopen = null;
    clearInterval(this.heartbeat);
    clearTimeout(this.stable);
    clearTimeout(this.dead);
    removeEventListener("offline", this.offline);
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close(1000);
    const words = code === 1012 ? "the server is restarting" : code === 4029 ? "too many watchers" : "connection lost";
    this.resolve({ code, reason, words, ...more, progressed: this.#progressed });
  }
}

// Polls every 2 to 10 seconds.
export async function poll(submission, api, say, changed) {
  let failed = 0;
  for (let seconds = 2; ; seconds = Math.min(seconds * 1.5, 10)) {
    say("polling", "no live connection, polling every few seconds");
    try {
      const snapshot = await api.get(`/submissions/${submission.id}`);
      if (!submission.isSameLog(snapshot.epoch, snapshot.last_seq)) throw new Replaced();
      const { tests } = await api.get(`/submissions/${submission.id}/tests`);
      failed = 0;
      await fetchOutput(submission, api).catch(() => {});
      for (const message of missed(submission, snapshot, tests)) submission.receive(message);
      changed();
      if (submission.verdict !== null) return say("closed", "ended");
    } catch (error) {
      if (error instanceof Replaced) throw error;
      if (error instanceof Refused && error.status === 401) throw new LoginNeeded();
      if (error instanceof Refused && error.status === 404) throw new NotFound();
      failed += 1;
      if (failed >= reconnect.MAX_ATTEMPTS) throw new GivenUp("The server no longer responds.");
      if (error instanceof Refused && error.retryAfter) await countdown(Math.min(error.retryAfter, 300), () => {});
    }
    await countdown(seconds, () => {});
  }
}

// Waits and reports the remaining seconds. Ends early when the network is back.
export function countdown(seconds, say) {
  return new Promise((resolve) => {
    const until = Date.now() + seconds * 1000;
    const end = () => {
      clearInterval(ticking);
      removeEventListener("online", end);
      resolve();
    };
    const tick = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      if (left <= 0) end();
      else say(left);
    };
    const ticking = setInterval(tick, 250);
    addEventListener("online", end);
    tick();
  });
}
