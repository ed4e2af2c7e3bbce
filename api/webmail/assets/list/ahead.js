// Reads mail ahead that is likely to be opened, one conversation at a time while there is nothing else to do: the newest
// unread ones of the first list, and those below the one that is open or under the keys. Rows under pointer or keys:
// list/pane.js.

import { effect, untracked } from "../vendor/preact.js";
import { route } from "../router.js";
import { keepsCopies } from "../store/device.js";
import { calm, connection, session } from "../store/state.js";
import { loadAhead } from "../mail/frames.js";
import { prefetch, readyThread } from "../store/threads.js";
import { cursor, list } from "./current.js";

const UNREAD_MAX = 20;
const CHARS_MAX = UNREAD_MAX * 64 * 1024; // of the contents of unread mail
const NEXT = 2;

const isOnline = () => session.value === "in" && connection.value.state === "live" && !document.hidden;

let isBegun = false, turn = 0; // effects run at once: before what stands below
effect(() => {
  const one = list.value;
  if (session.value === "out") isBegun = false;
  if (!one || isBegun || connection.value.state !== "live") return;
  void one.version.value;
  if (one.total === null) return;
  isBegun = true;
  untracked(() => readUnread(one.rows.filter((row) => row?.unread).slice(0, UNREAD_MAX)));
});

effect(() => {
  const { thread } = route.value, id = cursor.value, one = list.value;
  if (!one) return;
  const at = thread ? one.places.get(one.rowOfThread(thread)?.id) : one.places.get(id);
  if (at !== undefined && (thread || at > 0)) untracked(() => readNext(one.rows.slice(at + 1, at + 1 + NEXT).filter(Boolean)));
});

async function readUnread(rows) {
  let left = CHARS_MAX;
  for (const row of rows) {
    await calm();
    if (left <= 0 || !isOnline()) return;
    left -= await readThread(row);
  }
}

async function readNext(rows) {
  const mine = ++turn;
  for (const row of rows) {
    await calm();
    if (mine !== turn || !isOnline()) return;
    await readAhead(row);
  }
}

// Reads a conversation that is likely to be opened next, and loads the document of its last mail into a frame.
export async function readAhead(row) {
  await readThread(row);
  await calm();
  if (readyThread(row.thread_id)) loadLast(row);
}

// Loads the document of the last mail of a conversation, which has one if it was not read yet: most mails are formatted.
export function loadLast(row) {
  const known = readyThread(row.thread_id), id = known?.messages.at(-1).id ?? row.latest_id;
  if (!known || known.bodies[id]?.view?.html) loadAhead(id);
}

// Reads the conversation of a row, and the documents of its mails. Returns the characters of its contents.
async function readThread(row) {
  const thread = await prefetch(row.thread_id);
  if (!thread) return 0;
  let chars = 0;
  for (const { id } of thread.messages) {
    const body = thread.bodies[id];
    if (!body) continue;
    chars += (body.text?.length ?? 0) + (body.html?.length ?? 0);
    if (body.view?.html) chars += await readView(id);
  }
  return chars;
}

// The service worker keeps the document of a mail, where it may, for the next minutes and for the time without the network.
async function readView(id) {
  if (!navigator.serviceWorker?.controller || !keepsCopies()) return 0;
  const answer = await fetch(`/v1/messages/${id}/view`).catch(() => null);
  return answer?.ok ? (await answer.arrayBuffer().catch(() => null))?.byteLength ?? 0 : 0;
}
