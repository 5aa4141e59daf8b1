// The four architectures as one small simulation: arrivals in, coloured spans out. Nothing in here can draw.

import { ARRIVALS, IDLE_S, START_S } from "./arrivals.js";

const TICK_S = 0.05;
const LIMIT_S = 120;

/** What a client's row shows, and whether the client is waiting because of others meanwhile. */
export const STATES = {
  backlog: { text: "in the backlog", waits: true },
  starts: { text: "its process or thread is being started", waits: true },
  own: { text: "the server waits for the client", waits: false },
  waits: { text: "asked, and waits for others", waits: true },
  answer: { text: "is being answered", waits: false },
};

export const MODES = ["iterative", "forking", "threading", "select"];

/**
 * Play the arrivals to one mode.
 *
 * @param {string} mode one of MODES
 * @param {{maxClients: number, overflow: string}} settings as in the config file
 * @returns {{rows: object[], end: number, waited: number, longest: number, refused: number}}
 */
export function simulate(mode, settings) {
  const rows = ARRIVALS.map((arrival) => ({ arrival, state: null, spans: [], end: null, how: null }));
  const server = { mode, ...settings, desk: null, starting: null, startedAt: 0 };
  for (let tick = 0; tick * TICK_S < LIMIT_S && rows.some((row) => row.end === null); tick += 1) {
    const now = tick * TICK_S;
    for (const row of rows) {
      if (row.state === null && row.end === null && row.arrival.at <= now) enter(row, "backlog", now);
    }
    for (const row of rows) moveOn(row, server, now);
    letIn(rows, server, now);
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

const hasAsked = (row, now) => now >= row.arrival.at + row.arrival.head;

/** One client's own progress: a request completed, an answer received, patience run out. */
function moveOn(row, server, now) {
  if (row.state === "own" && hasAsked(row, now)) {
    enter(row, server.mode === "iterative" ? "waits" : "answer", now);
  } else if (row.state === "own" && now >= row.letIn + IDLE_S && row.arrival.manner === "silent" && !server.desk) {
    leave(row, "idle", now);
  } else if (row.state === "answer" && now >= row.since + row.arrival.answer) {
    if (server.desk === row) server.desk = null;
    leave(row, "served", now);
  } else if (row.state === "starts" && now >= row.since + START_S[server.mode]) {
    server.starting = null;
    enter(row, hasAsked(row, now) ? "answer" : "own", now);
  }
}

/** The door: accept while there are slots; refuse or leave waiting when there are none. */
function letIn(rows, server, now) {
  const inside = () => rows.filter((row) => row.state !== null && row.state !== "backlog").length;
  for (const row of rows) {
    if (row.state !== "backlog" || server.desk || server.starting) continue;
    if (inside() >= server.maxClients) {
      if (server.overflow === "refuse") leave(row, "refused", now);
      continue;
    }
    row.letIn = now;
    if (server.mode in START_S) {
      server.starting = row;
      enter(row, "starts", now);
    } else if (!hasAsked(row, now)) {
      enter(row, "own", now);
    } else {
      enter(row, server.mode === "iterative" ? "waits" : "answer", now);
    }
  }
}

/** Iterative mode: when nobody is being answered, answer the one who asked first. */
function takeNext(rows, server, now) {
  if (server.desk) return;
  const asked = rows.filter((row) => row.state === "waits");
  if (asked.length === 0) return;
  const when = (row) => row.arrival.at + row.arrival.head;
  server.desk = asked.reduce((first, row) => (when(row) < when(first) ? row : first));
  enter(server.desk, "answer", now);
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
