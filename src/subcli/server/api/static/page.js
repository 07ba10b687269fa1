// A submission's page: puts state, connection and view together, and asks for a login where the server wants one.

import { Api, Refused } from "./api.js";
import { Absent, GivenUp, LoginNeeded, follow } from "./follow.js";
import { Submission } from "./state.js";
import { show, showConnection, showTime, showTitle } from "./view.js";

const FRAME_MS = 100;
const at = (id) => document.getElementById(id);
const id = Number(location.pathname.split("/").pop());
const api = new Api();
const picture = new Submission(id);
let drawing = null;

// However fast results come, no more than ten pictures a second.
function changed() {
  drawing ??= setTimeout(() => {
    drawing = null;
    show(picture);
  }, FRAME_MS);
}

async function run() {
  at("trouble").hidden = at("login").hidden = true;
  try {
    picture.describe(await api.get(`/submissions/${id}`));
    showTitle(picture);
    await follow(picture, api, showConnection, changed);
    if (picture.verdict === "build_failed") picture.describe(await api.get(`/submissions/${id}`));
    changed();
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  const status = error instanceof Refused ? error.status : 0;
  if (error instanceof LoginNeeded || status === 401) {
    showConnection("closed", "a login is needed");
    at("login").hidden = false;
    at("user").focus();
    return;
  }
  const isAbsent = error instanceof Absent || status === 404;
  showConnection("lost", isAbsent ? "not found" : "not connected");
  at("trouble-text").textContent = isAbsent
    ? `There is no submission #${id}, or it is not yours.`
    : error instanceof GivenUp || status
      ? error.message
      : "The server does not answer.";
  at("trouble").hidden = false;
  if (!isAbsent && !(error instanceof Refused) && !(error instanceof GivenUp) && !(error instanceof TypeError)) throw error;
}

at("again").addEventListener("click", run);
at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("login-button").disabled = true;
  try {
    await api.login(at("user").value, at("password").value);
    at("password").value = at("login-error").textContent = "";
    run();
  } catch (error) {
    at("login-error").textContent = error instanceof Refused ? error.message : "The server does not answer.";
  } finally {
    at("login-button").disabled = false;
  }
});
addEventListener("pagehide", (event) => {
  if (!event.persisted) api.end();
});
setInterval(() => showTime(picture, Date.now()), 250);
at("command").textContent = `subcli watch ${location.origin}/submissions/${id}`;
run();
