// The page: the server has painted what is stored; this adds what arrives, through one stream.

const LONGEST_LIST = 200; // rows kept in the page; the store has all
const RETRY_MS = 2000;

const table = document.getElementById("messages");
const rows = document.getElementById("rows");
const template = document.getElementById("row");
const empty = document.getElementById("empty");
const older = document.getElementById("older");
const connection = document.getElementById("connection");

// ---- one row

// The same words as the server's (viewer/words.py), so that a reload changes nothing.
function duration(seconds, sign = "") {
  if (seconds === null) return "";
  return seconds < 0 ? `−${length(-seconds)}` : `${sign}${length(seconds)}`;
}

function length(seconds) {
  const whole = (unit, of = Infinity) => Math.floor((seconds % of) / unit);
  if (seconds < 0.9995) return `${Math.floor(seconds * 1000 + 0.5)} ms`;
  if (seconds < 59.95) return `${(Math.floor(seconds * 10 + 0.5) / 10).toFixed(1)} s`;
  if (seconds < 3600) return `${whole(60)} min ${whole(1, 60)} s`;
  if (seconds < 86400) return `${whole(3600)} h ${whole(60, 3600)} min`;
  return `${whole(86400)} d ${whole(3600, 86400)} h`;
}

function localize(time) {
  const date = new Date(time.dateTime);
  const clock = date.toLocaleTimeString([], { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = date.toLocaleDateString([], { day: "numeric", month: "short" });
  time.textContent = date.toDateString() === new Date().toDateString() ? clock : `${day} ${clock}`;
  time.title = `${date.toLocaleString()} (${time.dateTime})`;
}

function makeRow(message) {
  const row = template.content.firstElementChild.cloneNode(true);
  const fill = (name, text) => { row.querySelector(name).textContent = text; };
  row.dataset.seq = message.seq;
  row.querySelector("time").dateTime = message.time;
  localize(row.querySelector("time"));
  fill(".gap", duration(message.since_previous_seconds, "+"));
  fill(".text .words", message.preview);
  fill(".type .words", message.type);
  fill(".source .words", message.source);
  fill(".sequence", message.sequence === null ? "" : `#${message.sequence}`);
  fill(".latency", duration(message.latency_seconds));
  if (message.color) row.querySelector("circle").setAttribute("fill", message.color);
  for (const words of row.querySelectorAll(".words")) words.title = words.textContent;
  return row;
}

// ---- the list

let newest = Number(table.dataset.newest);
let arrived = []; // received but not drawn, oldest first
let longest = LONGEST_LIST; // more, once the reader has asked for older ones

function receive(message) {
  if (message.seq <= newest) return;
  newest = message.seq;
  arrived.push(message);
  if (arrived.length > LONGEST_LIST) arrived.shift(); // those drawn next would push it out at once
  if (arrived.length === 1) schedule(draw);
}

// A hidden tab has no animation frames, but should be up to date when it is looked at.
function schedule(task) {
  if (document.hidden) setTimeout(task, 250);
  else requestAnimationFrame(task);
}

function draw() {
  const fresh = arrived.reverse().map(makeRow);
  arrived = [];
  for (const row of fresh) row.classList.add("fresh");
  rows.prepend(...fresh);
  while (rows.childElementCount > longest) rows.lastElementChild.remove();
  showWhatIsThere();
}

function showWhatIsThere() {
  const count = rows.childElementCount;
  empty.hidden = count > 0;
  older.hidden = count < Number(table.dataset.page) || rows.lastElementChild.dataset.seq === "1";
}

older.addEventListener("click", async () => {
  older.disabled = true;
  try {
    const before = rows.lastElementChild.dataset.seq;
    const answer = await fetch(`api/messages?limit=${table.dataset.page}&before=${before}`);
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const { messages } = await answer.json();
    rows.append(...messages.map(makeRow));
    longest = Math.max(longest, rows.childElementCount);
    showWhatIsThere();
    if (!messages.length) older.hidden = true;
  } finally {
    older.disabled = false;
  }
});

// ---- the stream

function connect() {
  const stream = new EventSource(`api/stream?after=${newest}`);
  stream.addEventListener("open", () => show("live", "live"));
  stream.addEventListener("message", (event) => receive(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    show("reconnecting", "reconnecting");
    // After a broken connection the browser comes back by itself; after an error answer it does not.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  });
}

function show(state, words) {
  connection.dataset.state = state;
  connection.textContent = words;
}

// ---- sending

const form = document.getElementById("send");
const result = document.getElementById("send-result");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  result.textContent = "";
  try {
    const answer = await fetch("api/messages", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text: form.elements.text.value }),
    });
    if (answer.ok) form.reset();
    else result.textContent = `Not sent: ${(await answer.json()).detail}`;
  } catch {
    result.textContent = "Not sent: the viewer does not answer.";
  } finally {
    button.disabled = false;
  }
});

// ---- start

for (const time of rows.querySelectorAll("time")) localize(time);
for (const words of rows.querySelectorAll(".words")) words.title = words.textContent;
showWhatIsThere();
connect();
