// What the build and the tests print: a pane for each, in bounded memory, which follows while it is scrolled to its end.

import { element, printable } from "./dom.js";

const MOST_PANES = 50;
const MOST_CHARS = 65536;
const NEAR_PX = 8;
const EARLIER = "[... earlier output is not shown ...]\n";
const at = (id) => document.getElementById(id);

// The latest text of each pane, by the id of its test; "" for the build. Pure: no page.
export class Printed {
  constructor() {
    this.seq = 0;
    this.panes = new Map();
  }

  // Takes a message. Returns undefined if it was seen.
  receive(message) {
    if (typeof message.text !== "string") return false;
    if (Number.isSafeInteger(message.output_seq)) {
      if (message.output_seq <= this.seq) return undefined;
      this.seq = message.output_seq;
    }
    const key = ["string", "number"].includes(typeof message.test_id) ? String(message.test_id) : "";
    const pane = this.panes.get(key) ?? { text: "", cut: 0, added: 0, node: "" };
    // The latest pane is the last one.
    this.panes.delete(key);
    this.panes.set(key, pane);
    if (this.panes.size > MOST_PANES) this.panes.delete(this.panes.keys().next().value);
    const node = typeof message.node === "string" ? message.node : "";
    let text = printable(message.text.replaceAll("\r\n", "\n"));
    if (node !== pane.node) {
      const isWithin = pane.text !== "" && !pane.text.endsWith("\n");
      text = `${isWithin ? "\n" : ""}[${printable(node || message.stream)}]\n${text}`;
      pane.node = node;
    }
    pane.text += text;
    pane.added += text.length;
    if (pane.text.length > MOST_CHARS) {
      // Half of it, so that not every piece cuts; at a line, if there is one.
      const least = pane.text.length - MOST_CHARS / 2;
      const line = pane.text.indexOf("\n", least) + 1;
      pane.text = EARLIER + pane.text.slice(line || least);
      pane.cut += 1;
    }
    return true;
  }
}

// Draws the panes that changed. Closed ones cost nothing.
export function showOutput(submission) {
  if (!at("output").open) return;
  const { panes } = submission.printed;
  at("output-note").hidden = panes.size > 0;
  at("output-note").textContent =
    submission.verdict === null ? "Nothing has been printed so far." : "Nothing was printed, or it is no longer kept.";
  const box = at("printed");
  const drawn = new Map([...box.children].map((child) => [child.dataset.key, child]));
  for (const [key, child] of drawn) if (!panes.has(key)) child.remove();
  const latest = [...panes.keys()].at(-1);
  for (const [key, pane] of panes) {
    const child = drawn.get(key) ?? box.appendChild(paneOf(key));
    const name = nameOf(key, submission);
    if (child.firstChild.textContent !== name) child.firstChild.textContent = name;
    // Whoever has opened or closed a pane decides about it from then on.
    if (child.dataset.touched === undefined) child.open = key === latest;
    child.pane = pane;
    if (child.open) write(child.lastChild, pane);
  }
}

function paneOf(key) {
  const child = element("details", "pane");
  child.dataset.key = key;
  const title = element("summary", "text");
  title.addEventListener("click", () => (child.dataset.touched = ""));
  const text = element("pre", "text");
  text.tabIndex = 0;
  child.append(title, text);
  child.addEventListener("toggle", () => child.open && write(text, child.pane));
  return child;
}

function nameOf(key, submission) {
  const test = submission.tests.get(key);
  if (test) return printable(test.test_name);
  if (key === "") return "Build";
  const name = key.split("::").at(-1);
  return printable(/^\d+$/.test(name) ? `Test ${name}` : name);
}

// Adds what is new, and keeps what the reader looks at or has selected.
function write(box, pane) {
  const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - NEAR_PX;
  if (box.pane !== pane || box.cut !== pane.cut) {
    box.textContent = pane.text;
  } else if (box.added < pane.added) {
    const added = pane.text.slice(box.added - pane.added);
    if (box.firstChild) box.firstChild.appendData(added);
    else box.textContent = added;
  } else {
    return;
  }
  [box.pane, box.cut, box.added] = [pane, pane.cut, pane.added];
  if (isAtEnd) box.scrollTop = box.scrollHeight;
}
