"use strict";
const SECONDS = 120;
const rates = [];
let previous = null;

function setText(id, text) { document.getElementById(id).textContent = text; }

function fill(id, rows) {
  const body = document.getElementById(id);
  body.replaceChildren(...rows.map(cells => {
    const row = document.createElement("tr");
    cells.forEach((cell, at) => {
      const field = row.insertCell();
      field.textContent = cell;
      if (at && /^[0-9.]+$/.test(cell)) field.className = "number";
    });
    return row;
  }));
}

function draw() {
  const peak = Math.max(1, ...rates);
  const points = rates.map((rate, at) => `${SECONDS - rates.length + at},${29 - 28 * rate / peak}`);
  document.querySelector("#chart polyline").setAttribute("points", points.join(" "));
  setText("peak", Math.max(0, ...rates).toFixed(1));
}

async function refresh() {
  try {
    const report = await (await fetch("status.json", {cache: "no-store"})).json();
    for (const id of ["clients", "max_clients", "admitted", "requests", "sent_bytes"]) setText(id, report[id]);
    setText("refusals", Object.entries(report.refusals).map(([status, count]) => `${status}: ${count}`).join("  ") || "none");
    if (previous && report.uptime_s > previous.uptime_s) {
      const seconds = report.uptime_s - previous.uptime_s;
      const rate = (report.requests - previous.requests) / seconds;
      setText("request_rate", rate.toFixed(1));
      setText("byte_rate", ((report.sent_bytes - previous.sent_bytes) / seconds).toFixed(0));
      rates.push(rate);
      rates.splice(0, rates.length - SECONDS);
      draw();
    }
    previous = report;
    fill("processes", report.processes.map(row => [row.process, row.clients, row.requests, row.sent_bytes]));
    fill("connections", report.connections.map(
      row => [`${row.host}:${row.port}`, row.state, row.sent_bytes, row.seconds.toFixed(1), row.process]));
    document.getElementById("stale").hidden = true;
  } catch {
    document.getElementById("stale").hidden = false;
  }
}
setInterval(refresh, 1000);
refresh();
