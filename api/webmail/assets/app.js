// Sign in, the inbox as it changes, one message open. The socket tells what changed since it stood;
// after every gap the list is read again.

import { folderChoice, moveTo, roomOf, showDone } from "./actions.js";
import { $, body, nameOf, reader, row, subjectOf } from "./view.js";
import { Failure, Line, ask } from "./client.js";

const PAGE = 50, PAGE_MAX = 500;
const inbox = { messages: new Map(), folders: [], nodes: new Map(), cursor: null, unread: 0, loading: false, waiting: [], lastSeq: 0 };
const open = { id: null, message: null, plain: false };
let line = null;

// --- signing in and out ---

function showSignIn(text = "") {
  line?.stop();
  line = null;
  reset();
  $("mail").hidden = true;
  $("sign-in").hidden = false;
  $("sign-in-message").textContent = text;
  document.title = "Sign in · Postriver";
  ($("address").value ? $("password") : $("address")).focus();
}

function reset() {
  inbox.messages.clear();
  inbox.nodes.clear();
  Object.assign(inbox, { folders: [], cursor: null, unread: 0, loading: false, waiting: [], lastSeq: 0 });
  Object.assign(open, { id: null, message: null, plain: false });
  $("list").replaceChildren();
  $("message").replaceChildren();
  $("announce").textContent = "";
  showDone("");
}

async function signIn(event) {
  event.preventDefault();
  const button = event.submitter ?? $("sign-in-form").querySelector("button");
  button.disabled = true;
  $("sign-in-message").textContent = "";
  try {
    await ask("POST", "/v1/login", { address: $("address").value, password: $("password").value });
    $("password").value = "";
    await begin();
  } catch (error) {
    $("sign-in-message").textContent = error.message;
    $("password").select();
  } finally {
    button.disabled = false;
  }
}

async function signOut() {
  try {
    await ask("POST", "/v1/logout");
  } catch (error) {
    if (error.status !== 401) return say(`Not signed out: ${error.message}`);
  }
  location.hash = "";
  showSignIn("You are signed out.");
}

async function begin() {
  const me = await ask("GET", "/v1/me");
  $("who").textContent = me.address;
  $("room").textContent = roomOf(me.quota);
  $("sign-in").hidden = true;
  $("mail").hidden = false;
  line = new Line(heard, lineSays);
  line.open();
  await route();
}

function failed(error, what) {
  if (!(error instanceof Failure)) throw error;
  if (error.status === 401) showSignIn("You were signed out.");
  else say(`${what}: ${error.message}`);
}

function say(text) {
  $("announce").textContent = text;
  $("list-message").textContent = text;
  $("list-message").hidden = !text;
}

// --- the line ---

function lineSays(state, seconds) {
  if (state === "signed-out") return showSignIn("You were signed out.");
  $("connection").dataset.state = state;
  const text = { live: "Live", connecting: "Connecting", off: "Not connected" }[state];
  if ($("connection-text").textContent !== text) $("connection-text").textContent = text;
  if (state === "off") {
    $("retry-in").textContent = `Trying again in ${seconds} s.`;
    if (seconds > 3) ask("GET", "/v1/me").catch((error) => { if (error.status === 401) failed(error, ""); });
  }
  if (state !== "connecting") $("offline").hidden = state !== "off";
  if (state === "live") catchUp();
}

function heard(frame) {
  if (inbox.loading) inbox.waiting.push(frame);
  else apply(frame);
}

function apply(frame) {
  const gap = inbox.lastSeq && frame.seq > inbox.lastSeq + 1;
  inbox.lastSeq = Math.max(inbox.lastSeq, frame.seq);
  const counts = frame.folders.find((folder) => folder.id === "inbox");
  if (counts) inbox.unread = counts.unread;
  if (frame.change === "destroyed" || !frame.message.folder_ids?.includes("inbox")) inbox.messages.delete(frame.message.id);
  else put(frame.message, frame.change === "created");
  render();
  if (gap) catchUp();
}

function put(message, isNew) {
  const known = inbox.messages.get(message.id);
  if (known && known.changed_seq >= message.changed_seq) return;
  if (!known && !isNew && inbox.cursor && older(message)) return;
  inbox.messages.set(message.id, message);
  if (isNew && !known) $("announce").textContent = `New message from ${nameOf(message.from)}: ${subjectOf(message)}`;
  refresh(message);
}

function refresh(message) {
  if (!message || open.id !== message.id || !open.message) return;
  Object.assign(open.message, message);
  showActions();
}

const older = (message) => [...inbox.messages.values()].every((one) => byArrival(one, message) < 0);

// --- the list ---

async function catchUp() {
  if (inbox.loading) return;
  inbox.loading = true;
  try {
    const limit = Math.min(PAGE_MAX, Math.max(PAGE, inbox.messages.size));
    const [page, folders] = await Promise.all([
      ask("GET", `/v1/folders/inbox/messages?limit=${limit}`), ask("GET", "/v1/folders")]);
    inbox.messages = new Map(page.messages.map((message) => [message.id, message]));
    inbox.cursor = page.next_cursor;
    inbox.folders = folders.folders;
    inbox.unread = folders.folders.find((folder) => folder.id === "inbox").unread;
    refresh(inbox.messages.get(open.id));
    say("");
  } catch (error) {
    failed(error, "The inbox could not be read");
  } finally {
    inbox.loading = false;
    inbox.lastSeq = 0;
    inbox.waiting.splice(0).forEach(apply);
    render();
  }
}

async function showOlder() {
  $("older").disabled = true;
  try {
    const page = await ask("GET", `/v1/folders/inbox/messages?limit=${PAGE}&cursor=${encodeURIComponent(inbox.cursor)}`);
    page.messages.forEach((message) => { if (!inbox.messages.has(message.id)) inbox.messages.set(message.id, message); });
    inbox.cursor = page.next_cursor;
    render();
  } catch (error) {
    failed(error, "Older messages could not be read");
  } finally {
    $("older").disabled = false;
  }
}

const byArrival = (a, b) =>
  a.received_at === b.received_at ? (a.id < b.id ? 1 : -1) : (a.received_at < b.received_at ? 1 : -1);

function render() {
  const sorted = [...inbox.messages.values()].sort(byArrival);
  const had = inbox.nodes.size > 0;
  for (const [id, known] of inbox.nodes) {
    if (!inbox.messages.has(id)) { known.node.remove(); inbox.nodes.delete(id); }
  }
  sorted.forEach((message, index) => place(message, index, had));
  $("older").hidden = inbox.cursor === null;
  $("unread").hidden = !inbox.unread;
  $("unread").textContent = `${inbox.unread} unread`;
  document.title = `${inbox.unread ? `(${inbox.unread}) ` : ""}Inbox · Postriver`;
  if (!sorted.length && $("list-message").hidden) say("No mail yet. It appears here the moment it arrives.");
  else if (sorted.length && $("list-message").textContent.startsWith("No mail yet")) say("");
}

// Nodes stay while their message does, so that focus and scroll stay too.
function place(message, index, arriving) {
  let known = inbox.nodes.get(message.id);
  if (known?.message !== message) {
    const node = row(message, () => { location.hash = `#/message/${message.id}`; });
    if (!known && arriving) node.firstChild.classList.add("arrived");
    if (known) swap(known.node, node);
    known = { node, message };
    inbox.nodes.set(message.id, known);
  }
  const button = known.node.firstChild;
  if (message.id === open.id) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  const there = $("list").children[index];
  if (there !== known.node) $("list").insertBefore(known.node, there ?? null);
}

function swap(old, node) {
  const focused = old.contains(document.activeElement);
  old.replaceWith(node);
  if (focused) node.firstChild.focus();
}

function move(event) {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  const buttons = [...$("list").querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  if (at < 0) return;
  const to = event.key === "Home" ? 0 : event.key === "End" ? buttons.length - 1 : at + (steps[event.key] ?? 0);
  if (to === at || !buttons[to]) return;
  event.preventDefault();
  buttons[to].focus();
}

// --- one message ---

async function route() {
  const id = location.hash.match(/^#\/message\/([0-9a-f-]{36})$/)?.[1] ?? null;
  if (id === open.id) return;
  const left = open.id;
  Object.assign(open, { id, message: null, plain: false });
  $("mail").classList.toggle("reading", id !== null);
  $("message").hidden = id === null;
  $("nothing-open").hidden = id !== null;
  $("message").replaceChildren();
  render();
  if (id === null) return inbox.nodes.get(left)?.node.firstChild.focus();
  await read(id);
}

async function read(id) {
  try {
    const message = await ask("GET", `/v1/messages/${id}`);
    if (open.id !== id) return;
    open.message = message;
    show();
    $("message").querySelector("h2").focus();
    if (message.unread) await change({ unread: false });
  } catch (error) {
    if (error.status === 404 && open.id === id) $("message").replaceChildren("This message is not there any more.");
    else failed(error, "The message could not be read");
  }
}

async function change(what) {
  const id = open.id;
  try {
    const message = await ask("PATCH", `/v1/messages/${id}`, what);
    if (message.id === id) { put(message, false); render(); }
  } catch (error) {
    failed(error, "The change was not made");
  }
}

async function moveOpen(folderId) {
  const message = open.message;
  try {
    const back = await moveTo(message, folderId);
    inbox.messages.delete(message.id);
    location.hash = "";
    showDone(`Moved to ${inbox.folders.find((folder) => folder.id === folderId)?.name ?? folderId}.`, () => undo(back));
    $("undo").focus();
  } catch (error) {
    failed(error, "The message was not moved");
  }
}

async function undo(back) {
  showDone("");
  try {
    await back();
    await catchUp();
  } catch (error) {
    failed(error, "The message was not moved back");
  }
}

function parts() {
  return reader(open.message, {
    plain: open.plain,
    back: () => { location.hash = ""; },
    unread: () => change({ unread: true }).then(() => { location.hash = ""; }),
    flag: () => change({ flagged: !open.message.flagged }),
    remove: () => moveOpen("trash"),
    choice: folderChoice(open.message, inbox.folders, moveOpen),
    toggle: () => { open.plain = !open.plain; show(); },
  });
}

function show() {
  const { article, place: where } = parts();
  $("message").replaceChildren(...article);
  where.replaceWith(...body(open.message, open.plain));
}

// The buttons alone are made anew: a frame that is taken out and put back would load again.
function showActions() {
  const old = $("message").querySelector(".actions");
  if (!old) return;
  const at = [...old.children].indexOf(document.activeElement);
  const fresh = parts().article.find((node) => node.classList.contains("actions"));
  old.replaceWith(fresh);
  fresh.children[at]?.focus();
}

$("sign-in-form").addEventListener("submit", signIn);
$("sign-out").addEventListener("click", signOut);
$("older").addEventListener("click", showOlder);
$("retry-now").addEventListener("click", () => line?.open());
$("list").addEventListener("keydown", move);
addEventListener("hashchange", route);
addEventListener("online", () => { if ($("connection").dataset.state === "off") line?.open(); });
addEventListener("keydown", (event) => { if (event.key === "Escape" && open.id) location.hash = ""; });

begin().catch((error) => showSignIn(error.status === 401 ? "" : error.message));
