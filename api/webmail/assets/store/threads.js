// Conversations that were opened or are likely to be: their messages, and contents where they were read.

import { signal } from "../vendor/preact.js";
import { ask } from "../wire.js";
import { keepsCopies, keptAt } from "./device.js";
import { waiting } from "./state.js";

const KEPT = 40;
const threads = new Map(); // id → signal, least recently used first

// The conversation `id`: { state: loading | ready | gone | failed, messages, bodies, error }.
export function threadOf(id) {
  const known = threads.get(id) ?? fresh();
  used(id, known);
  if (known.peek().state === "new") load(id, known);
  return known;
}

const fresh = () => signal({ state: "new", messages: [], bodies: {}, error: null });

function used(id, known) {
  threads.delete(id);
  threads.set(id, known);
  if (threads.size > KEPT) threads.delete(threads.keys().next().value);
}

// Reads a conversation that may be opened soon, unless that costs too much here. Returns it; null: it was not read.
export async function prefetch(id) {
  const known = threads.get(id) ?? fresh();
  if (known.peek().state !== "new" || !navigator.onLine || navigator.connection?.saveData) return null;
  used(id, known);
  await load(id, known);
  if (known.peek().state === "ready") return known.peek();
  known.value = fresh().peek(); // opening it tries again, also where it was opened meanwhile
  return null;
}

// What is known of a conversation that was read; undefined: it was not.
export function readyThread(id) {
  const known = threads.get(id)?.peek();
  return known?.state === "ready" ? known : undefined;
}

export const forget = () => threads.clear();

async function load(id, known) {
  known.value = { ...known.peek(), state: known.peek().state === "new" ? "loading" : known.peek().state };
  try {
    const answer = await ask("GET", `/v1/threads/${id}?bodies=open&limit=500`);
    const bodies = { ...known.peek().bodies };
    for (const [message, body] of Object.entries(answer.bodies)) if (body) bodies[message] = body;
    known.value = { state: "ready", messages: withWaiting(newest(known.peek().messages, answer.messages)), bodies, error: null };
    copyOf(id);
  } catch (error) {
    const copy = error.isAway && !known.peek().messages.length ? await keptAt("threads", id) : null, was = known.peek();
    if (copy) known.value = { state: "ready", isCopy: true, error: null, bodies: copy.bodies, messages: withWaiting(copy.messages) };
    else if (error.status === 404) known.value = { ...was, messages: [], state: "gone" };
    else if (!was.messages.length) known.value = { ...was, state: "failed", error };
  }
}

const copyOf = (id) => keepsCopies() && import("./copies.js").then(({ keepThread }) => threads.has(id) && keepThread(id, threads.get(id).peek()));

// The service is back: what is a copy of this device, could not be read or was asked for before, is read again.
export function reloadCopies(wasOff) {
  for (const [id, known] of threads) {
    const { isCopy, state } = known.peek();
    if (isCopy || state === "failed" || (wasOff && state === "loading")) load(id, known);
  }
}

export function reload(id) {
  const known = threads.get(id);
  if (known) load(id, known);
}

// The conversation used last stays on screen while it is read again, others are forgotten. Whatever is read is newer than
// what was known, also where the seqs of the mailbox are those of another epoch.
export function reloadAll() {
  const [id, known] = [...threads].at(-1) ?? [];
  threads.clear();
  if (!known) return;
  threads.set(id, known);
  known.value = { ...known.peek(), messages: known.peek().messages.map((message) => ({ ...message, changed_seq: -1 })) };
  load(id, known);
}

// Of two values of one message the one with the greater changed_seq is newer.
function newest(old, fresh) {
  const known = new Map(old.map((message) => [message.id, message]));
  return fresh.map((message) => (known.get(message.id)?.changed_seq > message.changed_seq ? known.get(message.id) : message));
}

// The messages with the changes that the service lacks yet.
const withWaiting = (messages) => messages.map((message) => waiting.peek().filter(({ ids }) => ids.has(message.id)).reduce(withChange, message));

function withChange(message, { change: { unread = message.unread, flagged = message.flagged, keywords = {}, add_folder_ids: added = [], remove_folder_ids: removed = [] } }) {
  return {
    ...message, unread, flagged, folder_ids: [...new Set([...message.folder_ids, ...added])].filter((id) => added.includes(id) || !removed.includes(id)),
    keywords: [...new Set([...message.keywords, ...Object.keys(keywords)])].filter((one) => keywords[one] !== false),
  };
}

export async function readBody(threadId, messageId) {
  const body = await ask("GET", `/v1/messages/${messageId}`);
  const known = threads.get(threadId);
  if (known) known.value = { ...known.peek(), bodies: { ...known.peek().bodies, [messageId]: body } };
  copyOf(threadId);
}

// What a frame says of one message.
export function apply(message, change) {
  for (const [id, known] of threads) {
    const was = known.peek();
    const at = was.messages.findIndex((one) => one.id === message.id);
    if (at < 0 && message.thread_id !== id) continue;
    if (change === "destroyed") {
      const left = was.messages.filter((one) => one.id !== message.id);
      known.value = { ...was, messages: left, state: left.length ? was.state : "gone" };
    } else if (at < 0) {
      reload(id);
    } else if (was.messages[at].changed_seq < message.changed_seq) {
      patchMessage(id, message.id, message);
    }
  }
}

export function patchMessage(threadId, messageId, change) {
  const known = threads.get(threadId);
  if (!known) return;
  const was = known.peek();
  known.value = { ...was, messages: was.messages.map((one) => (one.id === messageId ? { ...one, ...change } : one)) };
}

export const messagesOf = (threadId) => threads.get(threadId)?.peek().messages ?? [];
