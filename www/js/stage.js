// One panel for each mode: a row for each client, time from left to right. Drawn once; playing only moves a clip.

import { STATES } from "./modes.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 72;
const RIGHT = 10;
const ROW = 21;
const TOP = 6;
const BAR = 12;

function add(parent, tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

/** The drawing in one panel. */
export class Stage {
  /**
   * @param {HTMLElement} panel an element of class "panel" with an svg and a p in it
   * @param {object} result what simulate() returned
   * @param {number} horizon seconds from the left edge to the right one
   */
  constructor(panel, result, horizon) {
    this.result = result;
    this.horizon = horizon;
    this.note = panel.querySelector("p");
    this.svg = panel.querySelector("svg");
    this.width = Math.max(240, this.svg.clientWidth);
    this.draw();
  }

  x(time) {
    return LEFT + ((this.width - LEFT - RIGHT) * time) / this.horizon;
  }

  draw() {
    const { svg, result } = this;
    const bottom = TOP + ROW * result.rows.length;
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${this.width} ${bottom + 20}`);
    for (let second = 0; second <= this.horizon; second += 5) {
      add(svg, "line", { class: "grid", x1: this.x(second), x2: this.x(second), y1: TOP, y2: bottom });
      add(svg, "text", { x: this.x(second), y: bottom + 15, "text-anchor": "middle" }, `${second} s`);
    }
    const clip = add(add(svg, "defs", {}), "clipPath", { id: `curtain-${svg.id}` });
    this.curtain = add(clip, "rect", { x: 0, y: 0, width: LEFT, height: bottom });
    const bars = add(svg, "g", { "clip-path": `url(#curtain-${svg.id})` });
    result.rows.forEach((row, index) => this.drawRow(bars, row, TOP + ROW * index + ROW / 2));
    this.now = add(svg, "line", { class: "now", y1: 0, y2: bottom + 2 });
  }

  drawRow(bars, row, y) {
    add(this.svg, "circle", { class: `client ${row.arrival.manner}`, cx: 7, cy: y, r: 5 });
    add(this.svg, "text", { class: "who", x: 19, y: y + 4 }, row.arrival.name);
    for (const { state, from, to } of row.spans) {
      const box = { x: this.x(from), y: y - BAR / 2, width: Math.max(1, this.x(to) - this.x(from)), height: BAR, rx: 2 };
      add(add(bars, "rect", { class: `s-${state}`, ...box }), "title", {}, `${row.arrival.name}: ${STATES[state].text}`);
    }
    if (row.how === "refused") {
      const [x, r] = [this.x(row.end) + 5, 4];
      const cross = add(bars, "path", { class: "s-end", d: `M${x - r} ${y - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}` });
      add(cross, "title", {}, `${row.arrival.name}: refused`);
    }
  }

  /** Show the simulation up to `time`. */
  show(time) {
    const x = this.x(Math.min(time, this.horizon));
    this.curtain.setAttribute("width", x);
    this.now.setAttribute("x1", x);
    this.now.setAttribute("x2", x);
    const text = time >= this.result.end ? this.ended() : this.present(time);
    if (this.note.textContent !== text) this.note.textContent = text;
  }

  present(time) {
    const held = this.result.rows.filter((row) =>
      row.spans.some((span) => STATES[span.state].waits && span.from <= time && time < span.to),
    );
    return held.length === 0 ? "No client waits for others." : `Held up by others: ${held.length}`;
  }

  ended() {
    const { waited, longest, refused, end } = this.result;
    const all = `Waited for others: ${waited.toFixed(1)} s in total, ${longest.toFixed(1)} s at most.`;
    return `${all} ${refused > 0 ? `Refused: ${refused}.` : `Finished after ${end.toFixed(1)} s.`}`;
  }
}
