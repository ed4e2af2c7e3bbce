// The list on screen: which one, the row under the keys, the selection, and what is done with them.

import { computed, effect, signal, untracked } from "../vendor/preact.js";
import { RowList } from "../store/rows.js";
import { messagesOf } from "../store/threads.js";
import { go, listPath, route, threadPath } from "../router.js";
import { afterChange, busy, canArchive, settings, waiting } from "../store/state.js";

const KEPT = 8;
const FOLLOW_MS = 25; // frames that come together are followed once
const CALM_MS = 1000; // rows that are right already are read again when there was no change for so long,
const LATE_MS = 10_000; // or since so long
const kept = new Map(); // address → { list, scrollTop }

export const list = signal(null);
export const selected = signal(new Map()); // row id → row
export const allMatching = signal(false); // the selection stands for every message of the list
export const cursor = signal(null); // id of the row that keys act on
export const window_ = { value: null }; // the ListWindow while the list is on screen

const address = computed(() => (route.value.name === "mail" ? keyOf(listPath(route.value), settings.value.conversations) : null));

// What may be done in the list on screen.
export const place = computed(() => {
  const { kind, folder } = list.value?.query ?? {};
  return { canArchive: kind !== "folder" || canArchive(folder), showsRecipients: folder === "sent" || folder === "drafts", isTrash: kind === "folder" && folder === "trash", isJunk: kind === "folder" && folder === "junk" };
});

export function followRoute() {
  return effect(() => { if (address.value) untracked(() => show(address.value)); });
}

// The first page of the inbox comes with the start, from the server or from a copy: its list needs no request.
let first = null;
export function firstPage(page) {
  if (isInbox(list.value?.query)) list.value.start(page);
  else first = page;
}
export const isWholeInbox = (query) => query?.kind === "folder" && query.folder === "inbox" && !query.filter;
const isInbox = (query) => isWholeInbox(query) && query.conversations;
export const keyOf = (path, conversations) => JSON.stringify([path, conversations]);

function show(key) {
  const { kind, folder, query } = route.value;
  if (list.value && window_.value) remember();
  const filter = query.unread ? "unread" : query.starred ? "starred" : query.files ? "files" : "";
  const known = kind === "search" ? null : kept.get(key);
  const next = known?.list ?? new RowList({ kind, folder, filter, q: query.q ?? "", order: query.order, conversations: settings.value.conversations });
  next.key = key;
  kept.delete(key);
  kept.set(key, { list: next, scrollTop: known?.scrollTop ?? 0 });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  selected.value = new Map();
  cursor.value = null;
  list.value = next;
  if (known) return refreshSoon();
  if (first && isInbox(next.query)) next.start(first);
  else next.want(0, 30);
  first = null;
  return undefined;
}

function remember() {
  const entry = kept.get(list.value.key);
  if (entry) entry.scrollTop = window_.value.top;
}

export const keptTop = (one) => kept.get(one.key)?.scrollTop ?? 0;
export function forgetLists() { kept.clear(); list.value = null; selected.value = new Map(); cursor.value = null; }

// --- reading again ---

let timer = 0, following = 0, latest = Infinity; // when the list is read again, at the latest
let newest = null, isOwn = false; // the state of the mailbox that the list should have; whether an own change was made since
export function refreshSoon() {
  timer ||= setTimeout(() => { timer = 0; refresh(); });
}

// The mailbox is at `state` now: the list is read again unless that was done after an own change. `isPlaced`: its rows show
// that state already.
export function followTo(state, isPlaced) {
  newest = state;
  follow(isPlaced);
}

function follow(isPlaced) {
  const now = performance.now();
  latest = Math.min(latest, now + (isPlaced ? LATE_MS : FOLLOW_MS));
  clearTimeout(following);
  following = setTimeout(async () => {
    latest = Infinity;
    await list.value?.refreshed;
    if (isOwn || newest && !list.value?.isAt(newest)) refreshSoon();
  }, Math.min(isPlaced ? CALM_MS : FOLLOW_MS, latest - now));
}

// A frame of a conversation: its row is shown at once. What is seen stays in its place. Returns whether the list is right then.
export function followThread({ id, lists, seq }) {
  const one = list.value, { kind, folder } = one?.query ?? {}, version = one?.version.peek();
  if (!one) return true;
  one.anchor = window_.value?.anchor() ?? null;
  const isRight = one.place(id, lists.find((row) => row.folder_id === (kind === "folder" ? folder : null))?.thread, seq);
  if (version === one.version.peek()) delete one.anchor;
  return isRight;
}

async function refresh() {
  const one = list.value, view = window_.value;
  if (!one || busy.value) return;
  isOwn = false;
  const keepPlace = () => { if (one === list.value) one.anchor = window_.value?.anchor() ?? null; }; // the user may scroll meanwhile
  await one.refresh(view?.first ?? 0, (view?.first ?? 0) + (view?.count ?? 20), keepPlace);
}
effect(() => { if (afterChange.value) followOwn(afterChange.value); });

// What was refused is taken back at once.
function followOwn({ isMade }) {
  isOwn = true;
  if (isMade && list.peek()?.isPlain) follow(true);
  else refreshSoon();
}
effect(() => { if (waiting.value && !busy.peek()) untracked(() => list.value?.baseTotal != null && list.value.derive()); });

// --- the row under the keys ---

export const currentRow = () => list.value?.rows[list.value.places.get(cursor.value)];

export function moveTo(at) {
  const one = list.value;
  if (!one?.total) return undefined;
  const to = Math.max(0, Math.min(at, one.total - 1));
  window_.value?.reveal(to);
  if (!one.rows[to]) return one.want(to, to + 1).then(() => one === list.value && one.rows[to] && moveTo(to));
  cursor.value = one.rows[to].id;
  window_.value?.draw();
  window_.value?.focus(one.rows[to].id);
  return undefined;
}

export const cursorAt = () => list.value?.places.get(cursor.value) ?? -1;

export function openRow(row) {
  if (!row) return;
  cursor.value = row.id;
  go(row.has_draft && row.message && list.value.query.folder === "drafts" ? `/compose/${row.id}` : pathTo(row));
}

const pathTo = (row) => threadPath(row.thread_id, row.hit_ids?.[0]); // of a search: at what was found

// The row of the open conversation's neighbour: 1 is older, -1 newer.
export function openNeighbour(step) {
  const at = list.value.places.get(openedRow()?.id) ?? cursorAt();
  const row = list.value.rows[at + step];
  if (row) openRow(row);
}

// --- selection ---

let lastSelected = null;

export function select(row, { extend = false } = {}) {
  const next = new Map(selected.value), rows = list.value.rows;
  const from = list.value.places.get(lastSelected), to = list.value.places.get(row.id);
  if (extend && from !== undefined) {
    for (let at = Math.min(from, to); at <= Math.max(from, to); at += 1) if (rows[at]) next.set(rows[at].id, rows[at]);
  } else if (next.has(row.id)) {
    next.delete(row.id);
  } else {
    next.set(row.id, row);
  }
  lastSelected = row.id;
  selected.value = next;
}

export function selectWhere(test) {
  selected.value = new Map(list.value.rows.filter((row) => row && test(row)).map((row) => [row.id, row]));
}

export const selectNone = () => { selected.value = new Map(); };
effect(() => { if (!selected.value.size) allMatching.value = false; });

// --- acting ---

// The row of the open conversation; made of its messages where the list has not read it.
export function openedRow() {
  const id = route.value.thread;
  if (!id) return null;
  const known = list.value?.rowOfThread(id);
  if (known && !known.message) return known;
  const messages = messagesOf(id), inside = messages.filter((message) => list.value?.covers(message.folder_ids) ?? true);
  const all = inside.length ? inside : messages;
  if (!all.length) return known ?? null;
  return {
    id: known?.id ?? id, thread_id: id, latest_id: all.at(-1).id, message_ids: all.map((message) => message.id), messages: all,
    unread: all.filter((message) => message.unread).length, flagged: all.some((message) => message.flagged),
    keywords: [...new Set(all.flatMap((message) => message.keywords))],
  };
}

export function targets() {
  if (selected.value.size) return [...selected.value.values()];
  const row = openedRow() ?? currentRow();
  return row ? [row] : [];
}

// The module is loaded before the first key where there is time; from then on a key has its effect in the same frame.
let actions = null;
export const loadActions = async () => { actions ??= await import("../store/actions.js"); };

// Acts on the selection, the open conversation or the row under the keys; goes on to the next row.
export async function perform(what, value = {}, rows = targets(), { step = null } = {}) {
  if (!rows.length) return;
  const one = list.value, opened = openedRow();
  if (allMatching.value && selected.value.size) return performOnAll(what, value, one);
  if (!actions) await loadActions();
  const leaves = ["archive", "trash", "junk", "inbox", "move"].includes(what);
  const at = one.places.get(rows[0].id) ?? cursorAt();
  const wasOpen = leaves && opened && rows.some((row) => row.thread_id === opened.thread_id);
  const isForGood = what === "trash" && (place.value.isTrash || place.value.isJunk);
  actions.act(what, rows, one, value);
  if (selected.value.size && leaves) selectNone();
  if (!leaves || isForGood) return;
  if (wasOpen) goOn(at, step ?? settings.value.after_archive);
  else if (at >= 0 && !one.places.has(cursor.value)) moveTo(at);
}

function performOnAll(what, value, one) {
  import("../store/batches.js").then(({ actOnAll }) => actOnAll(what, one, value));
  selectNone();
}

function goOn(at, step) {
  const rows = list.value.rows;
  const row = step === "list" ? null : step === "previous" ? rows[at - 1] ?? rows[at] : rows[at] ?? rows[at - 1];
  if (row) {
    cursor.value = row.id;
    go(pathTo(row), { replace: true });
  } else {
    go(listPath());
  }
}
