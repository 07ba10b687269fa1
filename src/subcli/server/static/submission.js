// A submission's page: asks the snapshot and the results every two seconds until there is a verdict.
"use strict";

const id = location.pathname.split("/").pop();
const title = document.getElementById("title");
const state = document.getElementById("state");
const tests = document.getElementById("tests");

async function get(path) {
  const response = await fetch(`/api/submissions/${id}${path}`);
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  return body;
}

async function refresh() {
  try {
    const submission = await get("");
    const results = await get("/tests");
    title.textContent = `Submission ${submission.id}: ${submission.problem} in ${submission.language}`;
    state.textContent = submission.final_status ?? `${submission.status} …`;
    tests.replaceChildren(...results.tests.map((test) => {
      const row = document.createElement("tr");
      for (const text of [test.status, test.test_name]) {
        row.insertCell().textContent = text;
      }
      return row;
    }));
    if (submission.final_status === null) setTimeout(refresh, 2000);
  } catch (error) {
    state.textContent = error.message;
  }
}

refresh();
