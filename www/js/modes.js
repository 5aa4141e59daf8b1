// The five architectures as one small simulation: arrivals in, coloured spans out. It draws nothing.

import { ARRIVALS, IDLE_S, START_S } from "./arrivals.js";

const TICK_S = 0.05;
const LIMIT_S = 120;

/** The states of a client, and whether it waits for other clients in that state. */
export const STATES = {
  backlog: { text: "in the backlog, not served yet", waits: true },
  starts: { text: "its process or thread is starting", waits: true },
  own: { text: "the server waits for the client", waits: false },
  waits: { text: "has sent its request, waits for others", waits: true },
  answer: { text: "is receiving its response", waits: false },
};

export const MODES = ["iterative", "forking", "threading", "select", "prefork"];

/**
 * Simulate one mode.
 *
 * @param {string} mode one of MODES
 * @param {{maxClients: number, overflow: string}} settings as in the config file
 * @returns {{rows: object[], end: number, waited: number, longest: number, refused: number}}
 */
export function simulate(mode, settings) {
  const rows = ARRIVALS.map((arrival) => ({ arrival, state: null, spans: [], end: null, how: null }));
  const server = { mode, ...settings, serving: null, starting: null, startedAt: 0 };
  for (let tick = 0; tick * TICK_S < LIMIT_S && rows.some((row) => row.end === null); tick += 1) {
    const now = tick * TICK_S;
    for (const row of rows) {
      if (row.state === null && row.end === null && row.arrival.at <= now) enter(row, "backlog", now);
    }
    for (const row of rows) moveOn(row, server, now);
    accept(rows, server, now);
    if (mode === "iterative") takeNext(rows, server, now);
  }
  return summary(rows);
}

function enter(row, state, now) {
  close(row, now);
  row.state = state;
  row.since = now;
}

function close(row, now) {
  if (row.state !== null && now > row.since) row.spans.push({ state: row.state, from: row.since, to: now });
}

function leave(row, how, now) {
  close(row, now);
  row.state = null;
  row.end = now;
  row.how = how;
}

const hasRequested = (row, now) => now >= row.arrival.at + row.arrival.head;

/** Advance one client: its request is complete, its response received, or its time is up. */
function moveOn(row, server, now) {
  if (row.state === "own" && hasRequested(row, now)) {
    enter(row, server.mode === "iterative" ? "waits" : "answer", now);
  } else if (row.state === "own" && now >= row.accepted + IDLE_S && row.arrival.manner === "silent" && !server.serving) {
    leave(row, "idle", now);
  } else if (row.state === "answer" && now >= row.since + row.arrival.answer) {
    if (server.serving === row) server.serving = null;
    leave(row, "served", now);
  } else if (row.state === "starts" && now >= row.since + START_S[server.mode]) {
    server.starting = null;
    enter(row, hasRequested(row, now) ? "answer" : "own", now);
  }
}

/** Accept clients while there are slots; refuse them, or leave them waiting, if there are none. */
function accept(rows, server, now) {
  const inside = () => rows.filter((row) => row.state !== null && row.state !== "backlog").length;
  for (const row of rows) {
    if (row.state !== "backlog" || server.serving || server.starting) continue;
    if (inside() >= server.maxClients) {
      if (server.overflow === "refuse") leave(row, "refused", now);
      continue;
    }
    row.accepted = now;
    if (server.mode in START_S) {
      server.starting = row;
      enter(row, "starts", now);
    } else if (!hasRequested(row, now)) {
      enter(row, "own", now);
    } else {
      enter(row, server.mode === "iterative" ? "waits" : "answer", now);
    }
  }
}

/** Iterative mode: if no response is under way, respond to the client whose request came first. */
function takeNext(rows, server, now) {
  if (server.serving) return;
  const ready = rows.filter((row) => row.state === "waits");
  if (ready.length === 0) return;
  const when = (row) => row.arrival.at + row.arrival.head;
  server.serving = ready.reduce((first, row) => (when(row) < when(first) ? row : first));
  enter(server.serving, "answer", now);
}

function summary(rows) {
  const waits = rows.map((row) =>
    row.spans.filter((span) => STATES[span.state].waits).reduce((sum, span) => sum + span.to - span.from, 0),
  );
  return {
    rows,
    end: Math.max(...rows.map((row) => row.end ?? LIMIT_S)),
    waited: waits.reduce((sum, wait) => sum + wait, 0),
    longest: Math.max(...waits),
    refused: rows.filter((row) => row.how === "refused").length,
  };
}
