// The tables of a page: groups of tests, and tests.

import { chip } from "./cards.js";
import { element, keep } from "./dom.js";
import { amount, counted, duration, facts, glyph, isPoints, number } from "./words.js";

const MOST_ROWS = 300;
const at = (id) => document.getElementById(id);

export function showGroups(submission) {
  const groups = submission.groups();
  const hasPoints = groups.some((group) => points(group));
  at("groups").hidden = groups.length < 2 && !hasPoints;
  at("groups-points").hidden = !hasPoints;
  keep(at("group-rows"), at("groups").hidden ? [] : groups.map((group) => groupRow(group, hasPoints)));
}

function groupRow(group, hasPoints) {
  const line = element("tr", group.status);
  const name = element("th", "text", group.name);
  name.scope = "row";
  line.append(name, statusCell(group), element("td", "number", `${number(group.passed)}/${number(group.done)}`));
  if (hasPoints) line.append(element("td", "number", points(group)));
  return line;
}

export function showTests(submission) {
  const all = inOrder([...submission.tests.values()], submission.groups());
  const ordered = all.length > MOST_ROWS ? all.filter((test) => test.status !== "passed") : all;
  const hasPoints = all.some((test) => points(test));
  at("results").hidden = all.length === 0;
  at("tests-points").hidden = !hasPoints;
  keep(at("tests"), ordered.slice(0, MOST_ROWS).map((test) => testRow(test, hasPoints)));
  const left = all.length - Math.min(ordered.length, MOST_ROWS);
  at("more").textContent = left > 0 ? `… ${number(left)} more` : "";
}

// As the terminal lists them: in the order in which they ran, those of a group together, those without one first.
function inOrder(tests, groups) {
  const places = new Map(groups.map((group, place) => [group.name, place + 1]));
  const place = (test) => places.get(test.group) ?? 0;
  return tests.sort((one, other) => place(one) - place(other));
}

function testRow(test, hasPoints) {
  const line = element("tr", counted(test.status));
  const name = element("td");
  name.append(element("span", "text", test.test_name));
  if (typeof test.test_type === "string") name.append(element("span", "kind text", test.test_type));
  const used = facts({ cpu_ms: test.cpu_ms, memory_kb: test.memory_kb }).join(" · ");
  if (used) name.append(element("span", "used", used));
  line.append(statusCell(test), name);
  if (hasPoints) line.append(element("td", "number", points(test)));
  line.append(element("td", "number", duration(test.duration_ms)));
  return line;
}

function statusCell(one) {
  const cell = element("td", "state");
  const mark = element("span", "glyph", glyph(one.status));
  mark.setAttribute("aria-hidden", "true");
  const label = chip(one);
  cell.append(mark, element("span", "text", `\u00a0${one.status}`));
  // Screen readers do not read titles.
  if (label) cell.append(" ", label, element("span", "unseen", ` ${label.title}`));
  return cell;
}

// "40/100"; empty where there are none, or there was nothing to win.
function points({ score, max_score: most }) {
  if (!isPoints(score) || (score === 0 && most === 0)) return "";
  return isPoints(most) ? `${amount(score)}/${amount(most)}` : amount(score);
}
