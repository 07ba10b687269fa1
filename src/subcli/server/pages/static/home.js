// Keeps the list of submissions up to date. The server renders it: whatever the feed says that changes a line, the page
// asks for its own list again, and takes over the lines that differ.

import { localise } from "./common.js";
import * as reconnect from "./reconnect.js";

const LEAST_MS = 2000;
const POLL_MS = 5000;
const CHANGES = new Set(["feed", "status_update", "complete", "dropped"]);
const at = (id) => document.getElementById(id);
let due = null;
let askedAt = -Infinity;

function say(state, text) {
  at("connection").hidden = false;
  at("connection").dataset.state = state;
  at("connection-text").textContent = text;
}

// Asks soon, but not more than every two seconds.
function askSoon() {
  due ??= setTimeout(ask, Math.max(200, askedAt + LEAST_MS - performance.now()));
}

async function ask() {
  askedAt = performance.now();
  let response;
  try {
    response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (response.ok) show(new DOMParser().parseFromString(await response.text(), "text/html"));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  } finally {
    due = null;
  }
  return response?.ok === true;
}

function show(fresh) {
  const list = fresh.getElementById("submissions");
  // The session has ended.
  if (list === null) return location.reload();
  localise(fresh);
  const [before, after] = [at("rows"), fresh.getElementById("rows")];
  if (before === null || after === null || before.rows[0]?.cells.length !== after.rows[0]?.cells.length) {
    if (at("submissions").innerHTML !== list.innerHTML) at("submissions").replaceChildren(...list.childNodes);
    return;
  }
  announce(before, after);
  takeOver(before, after);
}

// Keeps the lines that are as they were, with the focus and the selection in them.
function takeOver(before, after) {
  const present = new Map([...before.rows].map((row) => [row.dataset.id, row]));
  const wanted = [...after.rows].map((row) => (present.get(row.dataset.id)?.isEqualNode(row) ? present.get(row.dataset.id) : row));
  wanted.forEach((row, place) => {
    if (before.rows[place] !== row) before.insertBefore(row, before.rows[place] ?? null);
  });
  while (before.rows.length > wanted.length) before.lastElementChild.remove();
}

function announce(before, after) {
  const verdicts = (rows) => new Map([...rows].map((row) => [row.dataset.id, row.querySelector(".badge")]));
  const known = verdicts(before.rows);
  const news = [];
  for (const [id, badge] of verdicts(after.rows)) {
    const hasEnded = !badge.classList.contains("is-going") && known.get(id)?.classList.contains("is-going");
    if (hasEnded) news.push(`Submission ${id}: ${badge.textContent.replace(/^\S+\s/, "")}`);
  }
  if (news.length) at("news").textContent = news.join(". ");
}

// Follows the submissions over one socket for all of them: one's own, or for teachers everybody's.
async function follow() {
  for (let attempts = 0; ; ) {
    const end = await connect();
    if (end.isStable) attempts = 0;
    const meaning = reconnect.meaning(end.code);
    if (["login", "stop", "absent"].includes(meaning) || attempts >= reconnect.MAX_ATTEMPTS) {
      // If the login has ended, this loads the page anew. Otherwise a proxy keeps the socket from us.
      await ask();
      return poll();
    }
    attempts += 1;
    const told = reconnect.retryAfterFromReason(end.reason);
    const seconds = told ? reconnect.rateLimitDelay(attempts, Math.random(), told) : reconnect.backoff(attempts, Math.random());
    say("reconnecting", "connection lost, reconnecting");
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

function connect() {
  const query = at("submissions").dataset.live === "all" ? "?all=true" : "";
  const socket = new WebSocket(new URL(`ws/feed${query}`, location.href.replace(/^http/, "ws")));
  const opened = performance.now();
  let heartbeat = null;
  let dead = null;
  return new Promise((resolve) => {
    const end = (code, reason) => {
      clearInterval(heartbeat);
      clearTimeout(dead);
      socket.onclose = socket.onmessage = null;
      socket.close(1000);
      resolve({ code, reason, isStable: performance.now() - opened > reconnect.STABLE_S * 1000 });
    };
    socket.onopen = () => {
      say("open", "live");
      heartbeat = setInterval(() => {
        socket.send("ping");
        dead ??= setTimeout(() => end(1006, ""), reconnect.ANSWER_S * 1000);
      }, reconnect.PING_S * 1000);
      // Also of what is judged again.
      socket.send(JSON.stringify({ type: "follow", submissions: [], runs: null }));
      // What has happened since the page was made.
      askSoon();
    };
    socket.onmessage = ({ data }) => {
      clearTimeout(dead);
      dead = null;
      if (data === "ping") return socket.send("pong");
      if (data !== "pong" && CHANGES.has(typeOf(data))) askSoon();
    };
    socket.onclose = (event) => end(event.code, event.reason);
  });
}

function typeOf(text) {
  try {
    return JSON.parse(text)?.type;
  } catch {
    return null;
  }
}

// Where there is no feed, because sockets are blocked.
async function poll() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (document.visibilityState === "hidden") continue;
    const isAnswered = await ask();
    say(isAnswered ? "open" : "lost", isAnswered ? "updated every few seconds" : "the server does not respond");
  }
}

follow();
