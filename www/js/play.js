// The page: buttons, settings and the clock. The simulations are computed at once; playing them only moves the time.

import { MODES, simulate } from "./modes.js";
import { Stage } from "./stage.js";

const SPEED = 2; // seconds of the simulation for each second of the reader

const byId = (id) => document.getElementById(id);
const [start, pause, reset, time, clock] = ["start", "pause", "reset", "time", "clock"].map(byId);
const [maxClients, maxShown, overflow] = ["max-clients", "max-shown", "overflow"].map(byId);
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

let stages = [];
let horizon = 0;
let now = 0;
let lastFrame = null; // the time of the last animation frame; null while nothing is playing
let frame = 0;

function prepare() {
  const settings = { maxClients: maxClients.valueAsNumber, overflow: overflow.value };
  const results = MODES.map((mode) => simulate(mode, settings));
  horizon = 5 * Math.ceil((Math.max(...results.map((result) => result.end)) + 0.01) / 5);
  stages = MODES.map((mode, index) => new Stage(byId(`panel-${mode}`), results[index], horizon));
  maxShown.textContent = String(settings.maxClients);
  time.max = String(horizon);
  show(Math.min(now, horizon));
}

function show(moment) {
  now = moment;
  time.value = String(now);
  clock.textContent = `${now.toFixed(1)} s`;
  for (const stage of stages) stage.show(now);
  setButtons();
}

function setButtons() {
  const playing = lastFrame !== null;
  start.disabled = playing;
  pause.disabled = !playing;
  start.textContent = now > 0 && now < horizon && !playing ? "Continue" : "Start";
}

function play() {
  if (now >= horizon) now = 0;
  if (calm.matches) {
    show(horizon); // no animation: the finished picture, and the slider to move through it
    return;
  }
  lastFrame = performance.now();
  frame = requestAnimationFrame(step);
  setButtons();
}

function step(stamp) {
  const moment = now + (Math.max(0, stamp - lastFrame) / 1000) * SPEED;
  lastFrame = stamp;
  if (moment >= horizon) {
    stop();
    show(horizon);
  } else {
    show(moment);
    frame = requestAnimationFrame(step);
  }
}

function stop() {
  cancelAnimationFrame(frame);
  lastFrame = null;
  setButtons();
}

start.addEventListener("click", play);
pause.addEventListener("click", stop);
reset.addEventListener("click", () => {
  stop();
  show(0);
});
time.addEventListener("input", () => {
  stop();
  show(time.valueAsNumber);
});
maxClients.addEventListener("input", prepare);
overflow.addEventListener("change", prepare);
window.addEventListener("resize", prepare);

prepare();
