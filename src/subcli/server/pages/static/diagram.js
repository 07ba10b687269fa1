// The picture of a failure: a line for each node, time going down, an arrow for each message. It zooms; a message shows
// its body and the line that sent it.

import { LANE, LEFT, TOP, bodyText, heights, isDrawn, life, markText, placeOf, read, route, sentence, stops } from "./course.js";
import { element, printable } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const ZOOMS = [0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4];
const LABEL = 24;
// Where along its arrow a message's text begins to be read; the smallest scale at which it can be.
const BESIDE = 0.36;
const READABLE = 0.75;
const at = (id) => document.getElementById(id);
let picture = null;

// Opens the dialog with the picture of a trace.
export function showDiagram(trace, name) {
  const course = read(trace);
  picture = new Picture(course);
  at("diagram-title").textContent = printable(name);
  const noticed = course.noticedMs === course.momentMs ? "" : ` The test noticed at ${course.noticedMs} ms.`;
  at("diagram-violation").textContent = printable(`${course.momentMs} ms: ${course.violation}.${noticed}`);
  at("diagram-seed").textContent = printable(`seed ${course.seed}`);
  at("diagram-picture").replaceChildren(picture.svg);
  at("diagram-detail").replaceChildren(element("p", "quiet", "Choose a message to see what it says. Arrow keys go from one to the next, + and − zoom."));
  at("diagram").showModal();
  picture.fit();
}

class Picture {
  constructor(course) {
    this.course = course;
    this.told = new Set();
    const { places, times, end } = heights(course);
    this.places = places;
    this.end = end;
    this.width = LEFT + LANE * course.nodes.length + 24;
    this.lanes = new Map(course.nodes.map((node, index) => [node, LEFT + LANE / 2 + index * LANE]));
    this.svg = shape("svg", { viewBox: `0 0 ${this.width} ${end + 16}`, role: "group", "aria-label": "Messages between the nodes" });
    for (const { y, ms } of times) this.svg.append(label(LEFT - 10, y + 4, `${ms} ms`, "quiet", "end"));
    this.#nodes();
    for (const mark of course.marks.filter(isDrawn)) this.#mark(mark);
    const y = Math.max(TOP, ...[...places].filter(([no]) => no <= course.moment).map(([, height]) => height)) + 3;
    this.svg.append(shape("line", { x1: 8, x2: this.width - 8, y1: y, y2: y, class: "moment" }));
    this.moment = y;
    // Those that broke the rule lie above the others; the keys go through all in the order of sending.
    const made = course.messages.map((message) => this.#message(message));
    this.svg.append(...made.filter((group) => !group.classList.contains("broke")), ...made.filter((group) => group.classList.contains("broke")));
    this.messages = made;
    const first = made.find((group) => group.classList.contains("broke")) ?? made.at(-1);
    first?.setAttribute("tabindex", "0");
  }

  #nodes() {
    for (const [node, x] of this.lanes) {
      for (const piece of life(node, this.course.marks, this.places, this.end)) {
        this.svg.append(shape("line", { x1: x, x2: x, y1: piece.from, y2: piece.to, class: piece.up ? "life" : "life down" }));
      }
      this.svg.append(label(x, TOP - 18, node, "node", "middle"));
    }
  }

  #mark(mark) {
    const y = this.places.get(mark.no);
    const kind = mark.broke_rule ? "broke" : mark.kind;
    if (mark.kind === "partition" || mark.kind === "heal") {
      this.svg.append(shape("line", { x1: LEFT, x2: this.width - 8, y1: y, y2: y, class: "network" }), label(LEFT + 4, y - 4, markText(mark), "network"));
      return;
    }
    const x = this.lanes.get(mark.node);
    if (x === undefined) return;
    this.svg.append(shape("circle", { cx: x, cy: y, r: 4, class: `mark ${kind}` }), label(x + 8, y - 3, markText(mark), kind));
  }

  #message(message) {
    const arrives = this.places.has(message.arrived_no) && !stops(message);
    const [x1, y1] = [this.lanes.get(message.src), this.places.get(message.no)];
    const whole = this.lanes.get(message.dest);
    const x2 = arrives ? whole : x1 + (whole - x1) * 0.6;
    const y2 = arrives ? this.places.get(message.arrived_no) : y1 + 16;
    const classes = ["message", arrives ? "" : "stopped", this.course.late.has(message.no) ? "late" : "", message.broke_rule ? "broke" : ""];
    const told = printable(sentence(message, this.course));
    const group = shape("g", { class: classes.filter(Boolean).join(" "), tabindex: "-1", role: "button", "aria-label": told });
    const back = x2 > x1 ? -8 : 8;
    const tip = arrives ? `m${back} -5L${x2} ${y2}l${back} 3` : "m-4 -4l8 8m0 -8l-8 8";
    const line = `M${x1} ${y1}L${x2} ${y2}`;
    const said = printable(bodyText(message.body));
    // The wide line is not seen: a thin one is hard to hit.
    group.append(shape("path", { d: line, class: "reach" }), shape("path", { d: line + tip, class: "arrow" }));
    if (message.broke_rule || this.#isFirst(message, said)) {
      const [x, y] = [x1 + (x2 - x1) * BESIDE, y1 + (y2 - y1) * BESIDE - 4];
      group.append(label(x, y, said.length > LABEL ? `${said.slice(0, LABEL - 1)}…` : said, "said", "middle"));
    }
    group.addEventListener("click", () => {
      this.#choose(group, message);
      group.focus();
    });
    group.addEventListener("focus", () => this.#choose(group, message));
    return group;
  }

  // Whether a message is the first of those that say the same to several nodes at once: only that has a text beside it.
  #isFirst(message, said) {
    const key = JSON.stringify([message.src, message.ms, said]);
    return this.told.has(key) ? false : Boolean(this.told.add(key));
  }

  #choose(group, message) {
    for (const other of this.messages) {
      other.classList.toggle("chosen", other === group);
      other.setAttribute("tabindex", other === group ? "0" : "-1");
    }
    const parts = [element("p", message.broke_rule ? "bad text" : "text", route(message, this.course))];
    const body = typeof message.body === "string" ? message.body : JSON.stringify(message.body, null, 2);
    parts.push(element("pre", "text", body));
    const place = placeOf(message, this.course);
    if (place) {
      const line = element("p", "sent-by");
      line.append("sent by ", element("code", "text", place.where), place.inside ? element("span", "quiet text", ` in ${place.inside}`) : "");
      parts.push(line);
      if (place.text) parts.push(element("pre", "text", place.text));
    }
    at("diagram-detail").replaceChildren(...parts);
  }

  // Goes to another message; `step` is how many further.
  move(step) {
    const now = this.messages.findIndex((group) => group.getAttribute("tabindex") === "0");
    const place = Math.min(Math.max(now + step, 0), this.messages.length - 1);
    if (place < 0) return;
    this.#choose(this.messages[place], this.course.messages[place]);
    this.messages[place].focus();
  }

  zoom(factor) {
    const room = at("diagram-picture");
    const middle = (room.scrollTop + room.clientHeight / 2) / (this.scale ?? 1);
    this.scale = factor;
    this.svg.setAttribute("width", this.width * factor);
    this.svg.setAttribute("height", (this.end + 16) * factor);
    at("diagram-zoom").textContent = `${Math.round(factor * 100)} %`;
    room.scrollTop = middle * factor - room.clientHeight / 2;
  }

  step(up) {
    const larger = up ? ZOOMS.find((zoom) => zoom > this.scale + 0.01) : ZOOMS.findLast((zoom) => zoom < this.scale - 0.01);
    this.zoom(larger ?? this.scale);
  }

  // All nodes side by side, and the moment of the violation in the middle.
  fit() {
    const room = at("diagram-picture");
    this.zoom(Math.min(Math.max(room.clientWidth / this.width, READABLE), 1.4));
    room.scrollTop = this.moment * this.scale - room.clientHeight * 0.6;
  }
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

function label(x, y, text, kind = "", anchor = "start") {
  const made = shape("text", { x, y, class: kind, "text-anchor": anchor });
  made.textContent = printable(text);
  return made;
}

const KEYS = {
  __proto__: null,
  ArrowDown: () => picture.move(1),
  ArrowRight: () => picture.move(1),
  ArrowUp: () => picture.move(-1),
  ArrowLeft: () => picture.move(-1),
  "+": () => picture.step(true),
  "=": () => picture.step(true),
  "-": () => picture.step(false),
  0: () => picture.fit(),
};

export function listen() {
  at("diagram").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS) || picture === null) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  at("diagram-picture").addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      picture.step(event.deltaY < 0);
    },
    { passive: false },
  );
  at("diagram-closer").addEventListener("click", () => picture.step(true));
  at("diagram-farther").addEventListener("click", () => picture.step(false));
  at("diagram-fit").addEventListener("click", () => picture.fit());
  at("diagram-close").addEventListener("click", () => at("diagram").close());
}
