// Notes in the submitted code, at the places that analyses name, and links from the failures to these places.

import { element } from "./dom.js";

const MOST_CHARS = 300;

// The line of the submitted code that a location means; null if the page does not show it.
export function lineOf(location) {
  if (typeof location?.file !== "string" || !Number.isSafeInteger(location.line)) return null;
  const files = [...document.querySelectorAll("#code .file")];
  const name = (path) => path.split("/").at(-1);
  const alike = files.filter((file) => name(file.dataset.path) === name(location.file));
  const file = files.find((each) => each.dataset.path === location.file) ?? (alike.length === 1 ? alike[0] : undefined);
  return file?.querySelector(`[data-line="${location.line}"]`) ?? null;
}

// Puts a note at each place. Lines without one, and notes that are there already, stay as they are.
export function showNotes(analyses) {
  // By line and by what is said: the names of the tests.
  const notes = new Map();
  for (const analysis of analyses) {
    const line = lineOf(analysis.location);
    if (line === null) continue;
    const said = String(analysis.error ?? analysis.category ?? "").split("\n")[0].slice(0, MOST_CHARS);
    if (!notes.has(line)) notes.set(line, new Map());
    const names = notes.get(line).get(said) ?? [];
    notes.get(line).set(said, analysis.test_name ? [...names, String(analysis.test_name)] : names);
  }
  for (const line of document.querySelectorAll("#code .noted")) if (!notes.has(line)) change(line, []);
  for (const [line, told] of notes) change(line, [...told].map(([said, names]) => noteOf(said, names)));
}

function noteOf(said, [first, ...others]) {
  if (first === undefined) return said;
  const more = others.length ? ` and ${others.length} more ${others.length === 1 ? "test" : "tests"}` : "";
  return `${first}${more}: ${said}`;
}

function change(line, texts) {
  const made = texts.map((text) => element("span", "note text", text));
  const present = [...line.querySelectorAll(".note")];
  if (present.length === made.length && present.every((note, place) => note.isEqualNode(made[place]))) return;
  for (const note of present) note.remove();
  line.append(...made);
  line.classList.toggle("noted", made.length > 0);
}
