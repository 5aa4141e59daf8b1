// The clients, and when they connect. Times are seconds of the simulation; all five modes get the same arrivals.

/**
 * @typedef {object} Arrival
 * @property {string} name    name of the client
 * @property {string} manner  "quick", "slow" or "silent"
 * @property {number} at      when it connects
 * @property {number} head    how long it takes to send its request; Infinity if it never does
 * @property {number} answer  how long it takes to receive the response
 */

/** How long a silent connection is kept before it is closed (`idle_s`, shortened for the simulation). */
export const IDLE_S = 9;

/** Seconds from accepting a client until its process or thread serves it; exaggerated. */
export const START_S = { forking: 0.4, threading: 0.15 };

const quick = (name, at) => ({ name, manner: "quick", at, head: 0.2, answer: 0.6 });
const reader = (name, at, answer) => ({ name, manner: "slow", at, head: 0.2, answer });
const typist = (name, at, head) => ({ name, manner: "slow", at, head, answer: 0.6 });
const silent = (name, at) => ({ name, manner: "silent", at, head: Infinity, answer: 0 });

/** @type {Arrival[]} */
export const ARRIVALS = [
  quick("Ana", 0.4),
  silent("Spare", 1.0),
  reader("Bruno", 1.4, 6),
  quick("Chloe", 2.0),
  typist("Dario", 2.6, 4),
  quick("Elena", 3.2),
  quick("Farid", 4.2),
  reader("Greta", 5.5, 3),
  quick("Hugo", 7.0),
  quick("Irene", 9.5),
];
