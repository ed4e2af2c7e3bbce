// Copies of mail on this device: the account, the newest rows of lists, conversations that were opened. Views of
// mail are kept by the service worker, in a cache whose existence is its permission.

import { effect, untracked } from "../vendor/preact.js";
import { VERSION } from "../files.js";
import { forgetCopies, keep, keepsCopies, keptAt, mailCache, release } from "./device.js";
import { folders, limits, me, newVersion, session, settings } from "./state.js";

const LISTS_MAX = 25;
const ROWS_MAX = 200; // of a list
const THREADS_MAX = 500;
const BYTES_MAX = 50_000_000; // of all conversations
export const LAST_SCREEN = "/last-screen"; // in the cache of mail
const WAIT_MS = 1000; // a copy is written once for changes that follow each other
const waiting = new Map(); // store and key → timer

// Begins to keep copies: of the account from now on, and of what is read.
export async function beginCopies(state) {
  if (!keepsCopies()) return forgetCopies();
  followAccount(state);
  if (globalThis.caches) {
    const cache = await caches.open(mailCache());
    import("../list/last-screen.js").then(({ followScreen }) => followScreen(cache));
  }
  return startWorker();
}

let stop = null, stateOf = null;
export function followAccount(state) {
  stateOf = state;
  stop ??= effect(() => {
    const account = { me: me.value, folders: folders.value, limits: limits.value, settings: settings.value };
    if (account.me && session.value === "in") untracked(() => later("account", "account", () => keep("account", "account", { ...account, state: stateOf() })));
  });
}

export function later(store, key, write) {
  const name = `${store} ${key}`, user = me.peek()?.id;
  clearTimeout(waiting.get(name));
  waiting.set(name, setTimeout(() => {
    waiting.delete(name);
    if (user && me.peek()?.id === user) write();
  }, WAIT_MS));
}

// Of `rows` by position those from the first on without a gap, at most `countMax`.
export function firstOf(rows, countMax) {
  const gap = rows.findIndex((row) => !row);
  return rows.slice(0, gap < 0 ? countMax : Math.min(gap, countMax));
}

// `rows` by position, as the server has them.
export function keepList(key, rows) {
  const first = firstOf(rows, ROWS_MAX);
  later("lists", key, () => keepWithin("lists", key, { rows: first }, LISTS_MAX));
}

export function keepThread(id, { messages, bodies }) {
  later("threads", id, () => keepWithin("threads", id, { messages, bodies }, THREADS_MAX));
}

// Keeps `value`, and of the others those used last. What is kept stands in one record of the account, oldest use first,
// with its size and, of a conversation, the ids of its messages.
const keepWithin = (store, key, value, countMax) => alone(async () => {
  const uses = (await keptAt("account", store)) ?? {};
  delete uses[key];
  uses[key] = { bytes: JSON.stringify(value).length, ids: value.messages?.map((one) => one.id) };
  let all = Object.values(uses).reduce((sum, one) => sum + one.bytes, 0);
  for (const old of Object.keys(uses)) {
    if (Object.keys(uses).length <= countMax && all <= BYTES_MAX) break;
    all -= uses[old].bytes;
    delete uses[old];
    await release(store, old);
  }
  if (uses[key]) await keep(store, key, value);
  await keep("account", store, uses);
});

// Deleted mail is not kept either.
export const forgetMessage = (id) => alone(async () => {
  const uses = (await keptAt("account", "threads")) ?? {}, key = Object.keys(uses).find((one) => uses[one].ids.includes(id));
  if (globalThis.caches && await caches.has(mailCache())) {
    const cache = await caches.open(mailCache());
    await Promise.all([cache.delete(`/v1/messages/${id}/view`), cache.delete(LAST_SCREEN)]);
  }
  if (!key) return;
  delete uses[key];
  await release("threads", key);
  await keep("account", "threads", uses);
});

const alone = (work) => (navigator.locks ? navigator.locks.request("copies", work) : work());

// --- another version of the page ---

// Asks for the page, which names its version. A socket that was cut and came back may have another service behind it.
export async function checkVersion() {
  const page = await fetch("/", { cache: "no-cache" }).then((answer) => answer.text(), () => "");
  const found = page.match(/"\/web\/([^/]+)\//)?.[1];
  if (found && found !== VERSION) newVersion.value = true;
}

// --- the service worker: the page without the network, and views of mail ---

const WORKER = "/sw.js";
const policy = globalThis.trustedTypes?.createPolicy("postriver", { createScriptURL: () => WORKER });

// Without a worker the page needs the network.
const startWorker = () => navigator.serviceWorker?.register(policy?.createScriptURL("") ?? WORKER).catch(() => null);
