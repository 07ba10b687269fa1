// A submission's page: connects state, connection and view. The server has rendered what there was; from here on this does.

import { Api, Refused } from "./api.js";
import { GivenUp, LoginNeeded, NotFound, Replaced, fetchOutput, follow } from "./follow.js";
import { listen, showDiagram } from "./diagram.js";
import { Submission } from "./state.js";
import { show, showConnection, showTime, showTitle } from "./view.js";

const FRAME_MS = 100;
const at = (id) => document.getElementById(id);
const id = Number(location.pathname.split("/").pop());
const isFound = document.querySelector("main").dataset.state === "found";
// Behind `#`, so that the browser sends it to no server and writes it into no log.
const api = new Api(isFound ? null : new URLSearchParams(location.hash.slice(1)).get("link"));
const submission = new Submission(id);
let drawing = null;

// Redraws at most ten times a second, however fast results arrive.
function changed() {
  drawing ??= setTimeout(() => {
    drawing = null;
    show(submission);
  }, FRAME_MS);
}

async function run() {
  at("trouble").hidden = true;
  if (at("login")) at("login").hidden = true;
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
    at("login-error").textContent = api.byLink
      ? "This link has expired or was revoked. If the submission is yours, log in."
      : "Your login has ended.";
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
at("output").hidden = false;
at("again").hidden = false;
at("again").addEventListener("click", run);
setInterval(() => showTime(submission, Date.now()), 250);
at("command").textContent = `subcli watch ${location.origin}${location.pathname}`;
// Without a login, or where the submission is somebody else's, only a link can show it.
if (isFound || api.byLink) run();
