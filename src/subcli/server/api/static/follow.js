// Follows one submission over the WebSocket of the specification to its verdict, whatever happens on the way;
// where no socket can be had, by asking.

import { Refused } from "./api.js";
import * as patience from "./patience.js";
import { missed } from "./state.js";

export class LoginNeeded extends Error {}
export class Absent extends Error {}
export class GivenUp extends Error {}

// Resolves at the verdict. `say(state, words, seconds)` is told of the connection, `changed()` of every change.
export async function follow(picture, api, say, changed) {
  let attempts = 0;
  let refusals = 0;
  for (;;) {
    say("connecting", "connecting");
    const end = await connect(picture, api, say, changed);
    if (picture.verdict !== null) return say("closed", "ended");
    if (end.progressed) attempts = refusals = 0;
    const what = end.babbled ? "give up" : patience.meaning(end.code);
    if (what === "absent") throw new Absent();
    if (what === "stop") throw new GivenUp(`The server closed the connection (${end.code} ${end.reason}).`);
    if (what === "login") {
      if (refusals > 0 || !(await api.renew())) throw new LoginNeeded();
      refusals += 1;
      continue;
    }
    if (what === "give up" || attempts >= patience.MAX_ATTEMPTS) return poll(picture, api, say, changed);
    attempts += 1;
    const told = end.retryAfter || patience.toldByReason(end.reason);
    const seconds =
      what === "limited" ? patience.limited(attempts, Math.random(), told) : patience.backoff(attempts, Math.random());
    await countdown(seconds, (left) => say("reconnecting", `${end.words}, reconnecting in ${left} s`));
  }
}

// One socket, from its opening to its end.
async function connect(picture, api, say, changed) {
  let token = "";
  try {
    if (api.loggedIn) token = (await api.post(`/submissions/${picture.id}/watch-token`)).token;
  } catch (error) {
    return refused(error);
  }
  const query = new URLSearchParams(token ? { token } : {});
  if (picture.seq) query.set("after_seq", picture.seq);
  const url = new URL(`/ws/submissions/${picture.id}?${query}`, location.href.replace(/^http/, "ws"));
  const socket = new WebSocket(url);
  return new Promise((resolve) => new Wire(socket, picture, api, say, changed, resolve));
}

function refused(error) {
  if (!(error instanceof Refused)) return { code: 1006, reason: "", words: "connection lost", progressed: false };
  const code = { 401: 4003, 404: 4004, 429: 4029 }[error.status] ?? 1011;
  return { code, reason: error.message, words: error.message, retryAfter: error.retryAfter, progressed: false };
}

// Listens to one socket, keeps it alive, and notices when it is dead.
class Wire {
  #bad = 0;
  #progressed = false;
  #filling = null;
  #waiting = [];

  constructor(socket, picture, api, say, changed, resolve) {
    Object.assign(this, { socket, picture, api, changed, resolve });
    this.stable = null;
    this.dead = null;
    this.heartbeat = setInterval(() => this.#ping(), patience.PING_S * 1000);
    socket.onopen = () => {
      say("open", "live");
      this.stable = setTimeout(() => (this.#progressed = true), patience.STABLE_S * 1000);
    };
    socket.onmessage = (event) => this.#frame(event.data);
    socket.onclose = (event) => this.#end(event.code, event.reason);
    // Without a network nothing comes any more, even if the socket does not know it yet.
    this.offline = () => this.#end(1006, "");
    addEventListener("offline", this.offline);
  }

  #ping() {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send("ping");
    this.dead ??= setTimeout(() => this.#end(1006, "no answer"), patience.ANSWER_S * 1000);
  }

  #frame(data) {
    clearTimeout(this.dead);
    this.dead = null;
    // The specification's heartbeat is bare text in both directions.
    if (data === "pong") return;
    if (data === "ping") return this.socket.send("pong");
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return this.#babble();
    }
    if (this.#filling) this.#waiting.push(message);
    else this.#take(message);
  }

  #take(message) {
    const what = this.picture.receive(message);
    if (what === "bad") return this.#babble();
    this.#bad = 0;
    if (what === "hole") return this.#fill(message);
    if (what === "new") {
      this.#progressed = true;
      this.changed();
    }
    if (this.picture.verdict !== null) this.#end(1000, "");
  }

  // Fetch what is missing, in order; what comes meanwhile waits.
  async #fill(message) {
    this.#waiting.push(message);
    this.#filling = this.api.get(`/submissions/${this.picture.id}/events?after_seq=${this.picture.seq}`);
    try {
      const { events } = await this.#filling;
      const before = this.picture.seq;
      for (const event of events) this.#take(event);
      if (this.picture.seq === before) throw new Error("the log lacks it too");
    } catch {
      return this.#end(1006, "");
    }
    this.#filling = null;
    for (const waiting of this.#waiting.splice(0)) this.#take(waiting);
  }

  #babble() {
    this.#bad += 1;
    if (this.#bad >= patience.BAD_FRAMES) this.#end(1006, "", true);
  }

  #end(code, reason, babbled = false) {
    clearInterval(this.heartbeat);
    clearTimeout(this.stable);
    clearTimeout(this.dead);
    removeEventListener("offline", this.offline);
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close(1000);
    const words = code === 1012 ? "the server restarts" : code === 4029 ? "too many watchers" : "connection lost";
    this.resolve({ code, reason, words, babbled, progressed: this.#progressed });
  }
}

// Ask every 2 to 10 seconds.
export async function poll(picture, api, say, changed) {
  let failed = 0;
  for (let seconds = 2; ; seconds = Math.min(seconds * 1.5, 10)) {
    say("polling", "no live connection, asking every few seconds");
    try {
      const snapshot = await api.get(`/submissions/${picture.id}`);
      const { tests } = await api.get(`/submissions/${picture.id}/tests`);
      failed = 0;
      for (const message of missed(picture, snapshot, tests)) picture.receive(message);
      changed();
      if (picture.verdict !== null) return say("closed", "ended");
    } catch (error) {
      if (error instanceof Refused && error.status === 401) throw new LoginNeeded();
      if (error instanceof Refused && error.status === 404) throw new Absent();
      failed += 1;
      if (failed >= patience.MAX_ATTEMPTS) throw new GivenUp("The server does not answer any more.");
      if (error instanceof Refused && error.retryAfter) await countdown(Math.min(error.retryAfter, 300), () => {});
    }
    await countdown(seconds, () => {});
  }
}

// Wait, and say every second how long still. Back on the network, no longer.
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
