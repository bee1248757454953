// The inbox, alive: new messages arrive over server-sent events. Whatever a message says goes into text nodes only.
"use strict";

const words = JSON.parse(document.getElementById("words").textContent);
const MOST = 200;
const by = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 46rem)");

const side = document.querySelector(".side");
const lists = { message: document.querySelector("#messages ol"), refusal: document.querySelector("#refused ol") };
const search = document.querySelector(".search input");
const details = new Map();
let unread = 0;
let unseenRefusals = 0;
let chosen = null; // {kind: "message" | "refusal", id}

document.documentElement.classList.add("script");

function fill(root, values) {
  for (const [name, value] of Object.entries(values)) {
    for (const place of root.querySelectorAll(`[data-of="${name}"]`)) {
      if (place.tagName === "TIME") showTime(place, value);
      else place.textContent = value ?? "";
      const field = place.closest("[data-field]");
      if (field) field.hidden = !value;
    }
  }
}

function showTime(place, at) {
  place.dateTime = at;
  const then = new Date(at);
  const today = then.toDateString() === new Date().toDateString();
  const day = today ? {} : { month: "short", day: "numeric" };
  place.textContent = then.toLocaleString(document.documentElement.lang, { ...day, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  place.title = then.toLocaleString(document.documentElement.lang);
}

// ---- lists

function makeRow(kind, item) {
  const row = by(kind === "message" ? "row" : "refusal-row").content.cloneNode(true).querySelector("li");
  const link = row.querySelector("a");
  link.dataset[kind === "message" ? "id" : "refusal"] = item.id;
  link.href = kind === "message" ? `/?message=${item.id}` : `/api/log/${item.id}`;
  fill(row, kind === "refusal" ? { ...item, mobile: item.mobile || "—" } : item);
  return row;
}

const rowsOf = (kind) => [...lists[kind].querySelectorAll("a.row")];
const idOf = (link) => Number(link.dataset.id ?? link.dataset.refusal);
const kindOf = (link) => (link.dataset.id ? "message" : "refusal");
const rowOf = (kind, id) => rowsOf(kind).find((link) => idOf(link) === id);

function matches(message) {
  const text = search.value.trim().toLowerCase();
  return !text || message.content.toLowerCase().includes(text) || message.mobile.includes(text);
}

function showCounts() {
  const many = lists.message.childElementCount;
  by("count-messages").textContent = many < MOST ? many : `${many}+`;
  by("count-refused").textContent = lists.refusal.childElementCount;
  by("tab-refused").classList.toggle("alert", unseenRefusals > 0);
  const empty = lists.message.childElementCount === 0;
  const shown = side.classList.contains("show-refused") ? lists.refusal : lists.message;
  by("delete-all").hidden = shown.childElementCount === 0;
  by("nothing-found").hidden = !(empty && search.value.trim());
  by("no-refusals").hidden = lists.refusal.childElementCount > 0;
  by("empty").hidden = !empty || chosen !== null || search.value.trim() !== "";
  by("view").classList.toggle("filled", by("empty").hidden);
  document.title = (unread ? `(${unread}) ` : "") + words.title;
}

function replaceList(kind, items) {
  lists[kind].replaceChildren(...items.map((item) => makeRow(kind, item)));
  if (chosen) rowOf(chosen.kind, chosen.id)?.setAttribute("aria-current", "true");
  showCounts();
}

// ---- the chosen one

async function choose(kind, id, { focus = false, open = false } = {}) {
  for (const link of document.querySelectorAll("a.row[aria-current]")) link.removeAttribute("aria-current");
  chosen = { kind, id };
  const link = rowOf(kind, id);
  if (link) {
    link.setAttribute("aria-current", "true");
    if (link.classList.contains("unread") && document.hasFocus()) markRead(link);
    if (focus) link.focus({ preventScroll: true });
    link.scrollIntoView({ block: "nearest" });
  }
  if (open) document.body.classList.add("reading");
  const found = await read(kind, id);
  if (!found || chosen?.kind !== kind || chosen.id !== id) return;
  kind === "message" ? showMessage(found) : showRefusal(found);
  showCounts();
}

async function read(kind, id) {
  const key = `${kind} ${id}`;
  if (!details.has(key)) {
    const answer = await fetch(`/api/${kind === "message" ? "messages" : "log"}/${id}`).catch(() => null);
    if (!answer?.ok) return null;
    if (details.size > MOST) details.clear();
    details.set(key, await answer.json());
  }
  return details.get(key);
}

function showMessage(found) {
  const part = found.parts === 1 ? words.part : words.parts;
  const counted = `${found.parts} ${part} · ${found.encoding} · ${found.length}/${found.room}`;
  const channel_account = found.channel_account === found.account ? "" : found.channel_account;
  fill(by("message"), { ...found, counted, channel_account });
  by("code-box").dataset.none = found.code ? "" : "true";
  quietCopy();
  by("message").hidden = false;
  by("refusal").hidden = true;
}

function showRefusal(found) {
  const hint = document.documentElement.lang === "zh-CN" ? found.hint_zh : found.hint;
  const received = new Date(found.at).toLocaleString(document.documentElement.lang);
  fill(by("refusal"), { ...found, hint, received, number: found.mobile, text: found.content });
  by("message").hidden = true;
  by("refusal").hidden = false;
}

function showNothing() {
  chosen = null;
  by("message").hidden = by("refusal").hidden = true;
  document.body.classList.remove("reading");
  showCounts();
}

function markRead(link) {
  link.classList.remove("unread");
  unread = Math.max(0, unread - 1);
  showCounts();
}

// ---- news

let waiting = [];

function arrive(kind, item) {
  waiting.push([kind, item]);
  if (waiting.length === 1) setTimeout(settle, 50); // a flood is drawn twenty times a second, not once a message
}

function settle() {
  const news = waiting;
  waiting = [];
  const before = rowsOf("message")[0];
  const follows = chosen === null || (chosen.kind === "message" && (!before || chosen.id === idOf(before)));
  for (const [kind, item] of news.slice(-2 * MOST)) addRow(kind, item);
  const newest = rowsOf("message")[0];
  const latest = news.filter(([kind]) => kind === "message").at(-1)?.[1];
  // Whoever looks at the newest one goes on to see the newest one; whoever reads an older one isn't disturbed.
  if (latest && follows && newest && newest !== before && !document.body.classList.contains("reading")) choose("message", idOf(newest));
  announce(news.at(-1));
  showCounts();
}

function addRow(kind, item) {
  if (rowOf(kind, item.id)) return;
  if (kind === "message" && !matches(item)) return;
  const row = makeRow(kind, item);
  const link = row.querySelector("a");
  link.classList.add("fresh");
  if (kind === "message") {
    link.classList.add("unread");
    unread += 1;
  } else if (!side.classList.contains("show-refused")) unseenRefusals += 1;
  lists[kind].prepend(row);
  while (lists[kind].childElementCount > MOST) dropRow(lists[kind].lastElementChild);
}

function dropRow(row) {
  if (row.querySelector(".unread")) unread = Math.max(0, unread - 1);
  row.remove();
}

function announce([kind, item]) {
  const said = kind === "message" ? `${words.new_message} ${item.mobile}${item.code ? `, ${words.code} ${item.code}` : ""}` : `${words.new_refusal}: ${item.message}`;
  by("news").textContent = said;
}

function forget(id) {
  for (const link of rowsOf("message")) if (id === null || idOf(link) === id) dropRow(link.parentElement);
  if (chosen?.kind === "message" && (id === null || chosen.id === id)) {
    const next = rowsOf("message")[0];
    next && !narrow.matches ? choose("message", idOf(next)) : showNothing();
  }
  showCounts();
}

async function reload() {
  const query = encodeURIComponent(search.value.trim());
  const asked = [`/api/messages?limit=${MOST}&q=${query}`, "/api/log?limit=50"].map((url) => fetch(url).then((answer) => answer.json()));
  const [messages, log] = await Promise.all(asked).catch(() => [null, null]);
  if (!messages) return;
  unread = 0;
  replaceList("message", messages.messages);
  replaceList("refusal", log.refusals);
  const newest = messages.messages[0];
  const gone = chosen?.kind === "message" && !rowOf("message", chosen.id);
  if (newest && (chosen === null || gone)) choose("message", newest.id);
  else if (gone) showNothing();
}

// The simulator was restarted, or we were away too long: ids may mean other messages now.
function startAnew() {
  details.clear();
  showNothing();
  reload();
}

function connect() {
  const last = document.body.dataset.last;
  const source = new EventSource(`/api/events?last=${encodeURIComponent(last)}`);
  const remember = (handle) => (event) => {
    document.body.dataset.last = event.lastEventId;
    handle(JSON.parse(event.data));
  };
  source.addEventListener("open", () => showState("live"));
  source.addEventListener("message", remember((item) => item.id && arrive("message", item)));
  source.addEventListener("refused", remember((item) => arrive("refusal", item)));
  source.addEventListener("deleted", remember((item) => forget(item.id)));
  source.addEventListener("reset", remember(startAnew));
  source.addEventListener("error", () => {
    showState("offline");
    // A browser gives up for good after some kinds of failure; we don't.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  });
}

function showState(state) {
  by("state").dataset.state = state;
  fill(by("state"), { state: words[state] });
}

// ---- what people do

let copyTimer;

function quietCopy() {
  clearTimeout(copyTimer);
  by("copy").classList.remove("done");
  by("copy").textContent = words.copy;
}

async function copy(text, button, label) {
  const done = await navigator.clipboard?.writeText(text).then(() => true, () => false) ?? copyBySelection();
  button.textContent = done ? `✓ ${words.copied}` : words.copy_failed;
  button.classList.toggle("done", done);
  by("news").textContent = done ? words.copied : words.copy_failed;
  clearTimeout(copyTimer);
  copyTimer = setTimeout(() => {
    button.classList.remove("done");
    button.textContent = label;
  }, 1800);
}

// Over plain HTTP from another machine there is no clipboard API; the code is selected, and the old command tried.
function copyBySelection() {
  getSelection().selectAllChildren(by("code"));
  return document.execCommand("copy");
}

const copyCode = () => by("code").textContent && !by("message").hidden && copy(by("code").textContent, by("copy"), words.copy);

function showTab(refused) {
  side.classList.toggle("show-refused", refused);
  by("tab-messages").setAttribute("aria-pressed", String(!refused));
  by("tab-refused").setAttribute("aria-pressed", String(refused));
  by("delete-all").textContent = refused ? words.clear_log : words.delete_all;
  if (refused) unseenRefusals = 0;
  showCounts();
}

async function deleteAll() {
  if (side.classList.contains("show-refused")) {
    await fetch("/api/log", { method: "DELETE" });
    if (chosen?.kind === "refusal") showNothing();
    replaceList("refusal", []);
  } else if (confirm(words.delete_all_sure)) {
    await fetch("/api/messages", { method: "DELETE" });
  }
}

function move(steps) {
  const rows = rowsOf(side.classList.contains("show-refused") ? "refusal" : "message");
  if (!rows.length) return;
  const at = rows.findIndex((link) => link.hasAttribute("aria-current"));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + steps))];
  choose(kindOf(next), idOf(next), { focus: true });
}

const KEYS = {
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  j: () => move(1),
  k: () => move(-1),
  c: copyCode,
  "/": () => search.focus(),
  Escape: () => document.body.classList.remove("reading"),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, pre");
  if (typing === search && event.key === "Escape") {
    search.value = "";
    search.blur();
    reload();
  } else if (!typing && KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

side.addEventListener("click", (event) => {
  const link = event.target.closest("a.row");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(kindOf(link), idOf(link), { open: true });
});

let searchTimer;
search.addEventListener("input", () => {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(reload, 150);
});
search.form.addEventListener("submit", (event) => event.preventDefault());
by("copy").addEventListener("click", copyCode);
by("copy-command").addEventListener("click", () => copy(by("command").textContent, by("copy-command"), words.copy_command));
by("delete").addEventListener("click", () => chosen?.kind === "message" && fetch(`/api/messages/${chosen.id}`, { method: "DELETE" }));
by("delete-all").addEventListener("click", deleteAll);
by("tab-messages").addEventListener("click", () => showTab(false));
by("tab-refused").addEventListener("click", () => showTab(true));
by("back").addEventListener("click", () => document.body.classList.remove("reading"));
addEventListener("focus", () => {
  const link = chosen && rowOf(chosen.kind, chosen.id);
  if (link?.classList.contains("unread")) markRead(link);
});

for (const place of document.querySelectorAll("main time")) if (place.dateTime) showTime(place, place.dateTime);
const first = document.querySelector("a.row[aria-current]");
if (first) chosen = { kind: "message", id: idOf(first) };
showCounts();
showState("connecting");
connect();
