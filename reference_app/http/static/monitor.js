// The dashboard: asks for figures every two seconds and draws them. No library, no other host.
"use strict";

const EVERY_MS = 2000;
const MIB = 1024 * 1024;
const HEIGHT = 300;
const LEFT = 46, RIGHT = 12, TOP = 18, BOTTOM = 26;
const element = (id) => document.getElementById(id);
const mib = (bytes) => `${Math.round(bytes / MIB)} MiB`;
const clock = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

let rows = [];
let latest = null;

function say(id, text) {
  const place = element(id);
  if (place.textContent !== text) place.textContent = text;
}

function drawn(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// The last slot is still open when it is read, so it comes again and replaces itself.
function keep(history, now) {
  const first = history.rows.length ? history.rows[0][0] : Infinity;
  rows = rows.filter((row) => row[0] < first && row[0] >= now - history.seconds);
  rows.push(...history.rows);
}

function draw() {
  if (latest === null || rows.length === 0) return;
  const memory = latest.memory;
  const points = [...rows, [latest.now, memory.tree_bytes, memory.resting_bytes]];
  const width = Math.max(280, element("chart").clientWidth);
  const end = latest.now;
  const begin = Math.min(Math.max(points[0][0], end - latest.history.seconds), end - 60);
  const highest = Math.max(memory.limit_bytes, memory.hard_bytes, ...points.map((row) => row[1]));
  const top = 1.06 * highest;
  const x = (at) => LEFT + ((Math.max(at, begin) - begin) / (end - begin)) * (width - LEFT - RIGHT);
  const y = (bytes) => TOP + (1 - bytes / top) * (HEIGHT - TOP - BOTTOM);

  const svg = drawn("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "data-points": rows.length });
  svg.setAttribute("aria-label",
    `Memory over the last ${Math.round((end - begin) / 60)} minutes: now ${mib(memory.tree_bytes)}, ` +
    `resting ${mib(memory.resting_bytes)}; soft limit ${mib(memory.soft_bytes)}, ` +
    `hard limit ${mib(memory.hard_bytes)}, limit ${mib(memory.limit_bytes)}.`);
  ruled(svg, x, y, begin, end, top, width);
  limits(svg, y, memory, width);
  for (const [place, name] of [[1, "tree"], [2, "resting"]]) {
    const path = points.map((row) => `${x(row[0]).toFixed(1)},${y(row[place]).toFixed(1)}`).join(" ");
    svg.append(drawn("polyline", { points: path, class: `line ${name}` }));
  }
  element("chart").replaceChildren(svg);
}

function ruled(svg, x, y, begin, end, top, width) {
  const step = [25, 50, 100, 250, 500, 1000, 2500, 5000].find((size) => top / MIB / size <= 6) || 10000;
  for (let at = 0; at * MIB <= top; at += step) {
    const level = y(at * MIB);
    svg.append(drawn("line", { x1: LEFT, x2: width - RIGHT, y1: level, y2: level, class: "grid" }));
    svg.append(drawn("text", { x: LEFT - 6, y: level + 4, "text-anchor": "end" }, at));
  }
  svg.append(drawn("text", { x: 0, y: 11 }, "MiB"));
  const seconds = [15, 30, 60, 120, 300, 600, 900].find((size) => (end - begin) / size <= width / 110) || 1800;
  for (let at = Math.ceil(begin / seconds) * seconds; at <= end; at += seconds) {
    const label = new Date(at * 1000).toLocaleTimeString([], seconds < 60
      ? { hour: "2-digit", minute: "2-digit", second: "2-digit" } : { hour: "2-digit", minute: "2-digit" });
    const place = x(at);
    const anchor = place > width - 40 ? "end" : place < LEFT + 30 ? "start" : "middle";
    svg.append(drawn("text", { x: place, y: HEIGHT - 8, "text-anchor": anchor }, label));
  }
}

// The labels of limits that lie close together stand side by side, not on one another.
function limits(svg, y, memory, width) {
  let right = width - RIGHT - 4, above = Infinity;
  for (const [name, bytes] of [["soft", memory.soft_bytes], ["hard", memory.hard_bytes], ["limit", memory.limit_bytes]]) {
    const level = y(bytes);
    const label = `${name} ${mib(bytes)}`;
    right = above - level < 16 ? right - 8 * label.length : width - RIGHT - 4;
    svg.append(drawn("line", { x1: LEFT, x2: width - RIGHT, y1: level, y2: level, class: `mark ${name}` }));
    svg.append(drawn("text", { x: right, y: level - 5, "text-anchor": "end", class: name }, label));
    above = level;
  }
}

function update(data) {
  const { memory, jobs, queue } = data;
  element("status").dataset.status = data.status;
  say("status", data.status);
  say("updated", `as of ${clock(new Date(data.timestamp))}, renewed every ${EVERY_MS / 1000} s`);
  say("tree", mib(memory.tree_bytes));
  say("percent", `${memory.percent.toFixed(1)} %`);
  say("resting", mib(memory.resting_bytes));
  say("workers", mib(memory.workers_bytes));
  say("peak", mib(memory.peak_bytes));
  say("source", `The limit of ${mib(memory.limit_bytes)} comes from: ${memory.limit_source}.`);
  for (const [state, count] of Object.entries(jobs)) say(state, String(count));
  measured("slots", queue.running, queue.slots, `${queue.running} of ${queue.slots}`);
  measured("queue", queue.waiting, queue.capacity,
    `${queue.waiting} waiting, room for ${queue.capacity}; ${queue.uploading} uploading`);
  listed(data.errors);
  // One process is what all the rest of the page is about.
  element("instances-shown").hidden = data.instances.length < 2;
  filled("instances", data.instances.map((one) => [one.role, one.host, `${one.running} of ${one.slots}`,
    mib(one.memory_bytes), mib(one.resting_bytes), mib(one.limit_bytes)]));
}

function measured(id, value, most, said) {
  element(id).max = most;
  element(id).value = value;
  say(`${id}-said`, said);
}

function listed(errors) {
  element("no-errors").hidden = errors.length > 0;
  element("errors").hidden = errors.length === 0;
  filled("errors", errors.map((error) => [clock(new Date(error.at)), error.kind, error.text]));
}

function filled(id, lines) {
  element(id).tBodies[0].replaceChildren(...lines.map((line) => {
    const row = document.createElement("tr");
    for (const text of line) row.append(Object.assign(document.createElement("td"), { textContent: text }));
    return row;
  }));
}

async function renew() {
  try {
    const since = rows.length ? rows[rows.length - 1][0] : 0;
    const answer = await fetch(`/monitor/data?since=${since}`, { signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    latest = await answer.json();
    keep(latest.history, latest.now);
    update(latest);
    draw();
  } catch {
    element("status").dataset.status = "unreachable";
    say("status", "the service does not answer; trying again");
  }
  setTimeout(renew, EVERY_MS);
}

new ResizeObserver(draw).observe(element("chart"));
renew();
