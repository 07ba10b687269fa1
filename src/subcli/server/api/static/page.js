// A submission's page: connects state, connection and view, and asks for a login if the server requires one.

import { Api, Refused } from "./api.js";
import { GivenUp, LoginNeeded, NotFound, Replaced, fetchOutput, follow } from "./follow.js";
import { listen, showDiagram } from "./diagram.js";
import { Submission } from "./state.js";
import { show, showConnection, showTime, showTitle } from "./view.js";

const FRAME_MS = 100;
const at = (id) => document.getElementById(id);
const id = Number(location.pathname.split("/").pop());
// Behind `#`, so that the browser sends it to no server and writes it into no log.
const api = new Api(new URLSearchParams(location.hash.slice(1)).get("link"));
const submission = new Submission(id);
const theme = new URLSearchParams(location.search).get("theme");
let drawing = null;

// Redraws at most ten times a second, however fast results arrive.
function changed() {
  drawing ??= setTimeout(() => {
    drawing = null;
    show(submission);
  }, FRAME_MS);
}

async function run() {
  at("trouble").hidden = at("login").hidden = true;
  try {
    const snapshot = await api.get(`/submissions/${id}`);
    if (!submission.isSameLog(snapshot.epoch, snapshot.last_seq)) throw new Replaced();
    submission.describe(snapshot);
    showTitle(submission);
    await follow(submission, api, showConnection, changed);
    if (submission.verdict === "build_failed") submission.describe(await api.get(`/submissions/${id}`));
    changed();
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  const status = error instanceof Refused ? error.status : 0;
  if (error instanceof LoginNeeded || status === 401) {
    showConnection("closed", "login required");
    if (api.byLink) at("login-error").textContent = "This link has expired or was revoked. If the submission is yours, log in.";
    at("login").hidden = false;
    at("user").focus();
    return;
  }
  const isNotFound = error instanceof NotFound || status === 404;
  showConnection("lost", isNotFound ? "not found" : "not connected");
  at("trouble-text").textContent = isNotFound
    ? `There is no submission #${id}, or it is not yours.`
    : error instanceof GivenUp || status
      ? error.message
      : "The server does not respond.";
  at("trouble").hidden = false;
  if (!isNotFound && !(error instanceof Refused) && !(error instanceof GivenUp) && !(error instanceof TypeError)) throw error;
}

// Only a reader who opens the pane costs the server anything.
at("output").addEventListener("toggle", () => {
  changed();
  if (submission.wantsOutput) return;
  submission.wantsOutput = true;
  if (submission.verdict !== null) fetchOutput(submission, api).then(changed, () => {});
  else submission.reopen?.();
});
async function draw({ test, name }) {
  try {
    showDiagram(await api.get(`/submissions/${id}/tests/${encodeURIComponent(test)}/trace`), name);
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof TypeError)) throw error;
    at("trouble-text").textContent = error instanceof Refused ? error.message : "The server does not respond.";
    at("trouble").hidden = false;
  }
}

at("cards").addEventListener("click", (event) => {
  const button = event.target.closest("button.draw");
  if (button) draw(button.dataset);
});
listen();
at("again").addEventListener("click", run);
at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("login-button").disabled = true;
  try {
    await api.login(at("user").value, at("password").value);
    at("password").value = at("login-error").textContent = "";
    run();
  } catch (error) {
    at("login-error").textContent = error instanceof Refused ? error.message : "The server does not respond.";
  } finally {
    at("login-button").disabled = false;
  }
});
addEventListener("pagehide", (event) => {
  if (!event.persisted) api.end();
});
// `subcli open` passes on what the terminal's user has chosen; the styles know the names.
if (theme) document.documentElement.dataset.theme = theme;
setInterval(() => showTime(submission, Date.now()), 250);
at("command").textContent = `subcli watch ${location.origin}${location.pathname}`;
run();
