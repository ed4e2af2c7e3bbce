// Changes of mail: shown at once, made by the server behind, taken back if it refuses, undone by `z`.

import { t } from "../words.js";
import { Failure, ask } from "../wire.js";
import { afterChange, busy, canArchive, dialog, folderName, folderOf, labels, toast, undoStack } from "./state.js";
import { patchMessage, messagesOf, reload } from "./threads.js";
import { carryOut } from "./outbox.js";

const IDS_MAX = 1000; // of one request
const UNDO_MAX = 200;

// The messages that a row stands for, with the folders they are in.
async function messagesOfRow(row, list) {
  if (row.message) return [row.message];
  if (row.messages) return row.messages;
  const { kind, folder } = list?.query ?? {};
  if (kind === "folder") return row.message_ids.map((id) => ({ id, folder_ids: [folder], thread_id: row.thread_id }));
  const known = messagesOf(row.thread_id);
  const messages = known.length ? known : await messagesOfThread(row);
  const inside = messages.filter((message) => list?.covers(message.folder_ids) ?? true);
  return inside.length ? inside : messages; // found in junk or trash
}

// Without the service: those that the row names, in the folders of their conversation.
async function messagesOfThread(row) {
  try {
    return (await ask("GET", `/v1/threads/${row.thread_id}?limit=500`)).messages;
  } catch (error) {
    if (!error.isAway) throw error;
    return row.message_ids.map((id) => ({ id, folder_ids: row.folder_ids, thread_id: row.thread_id }));
  }
}

// Changes rows of `list` (null: whole conversations). `what`: { archive | trash | junk | inbox | move,
// read | unread | star | unstar | label } with `folder` or `keyword` and `on`.
export async function act(what, rows, list, value = {}) {
  if (!rows.length) return;
  const target = { archive: "archive", trash: "trash", junk: "junk", inbox: "inbox", move: value.folder }[what];
  if (what === "trash" && ["trash", "junk"].includes(list?.query.folder)) return askDestroy(rows, list);
  if (target === list?.query.folder && list?.query.kind === "folder") return;
  await changing(async () => {
    showAtOnce(what, rows, list, target, value);
    const done = [];
    const messages = (await Promise.all(rows.map((row) => messagesOfRow(row, list)))).flat();
    for (const { ids, change, inverse } of plan(what, messages, rows, target, value)) {
      for (let at = 0; at < ids.length; at += IDS_MAX) {
        const some = ids.slice(at, at + IDS_MAX);
        done.push({ ids: await carryOut({ ids: some, change }), change: inverse });
      }
    }
    remember(what, done, rows, target, value);
  }, { takeBack: () => rows.forEach((row) => reload(row.thread_id)) });
}

// Carries out `work`, during which lists are not read again; says so if the server refuses or does not answer.
export async function changing(work, { failed = "failed.change", takeBack } = {}) {
  let isMade = false;
  busy.value += 1;
  try {
    await work();
    isMade = true;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    toast(t(failed, { why: error.message }), { kind: "error" });
    takeBack?.();
  } finally {
    busy.value -= 1;
    afterChange.value = { isMade };
  }
}

// One request for each group of messages that need the same change and the same way back.
function plan(what, messages, rows, target, { keyword, on }) {
  const all = messages.map((message) => message.id);
  switch (what) {
    case "read": return [{ ids: all, change: { unread: false }, inverse: { unread: true } }];
    case "unread": return [{ ids: lastOf(rows), change: { unread: true }, inverse: { unread: false } }];
    case "star": return [{ ids: lastOf(rows), change: { flagged: true }, inverse: { flagged: false } }];
    case "unstar": return [{ ids: all, change: { flagged: false }, inverse: { flagged: true } }];
    case "label": return [{ ids: all, change: { keywords: { [keyword]: on } }, inverse: { keywords: { [keyword]: !on } } }];
  }
  const groups = new Map();
  for (const message of messages) {
    const leaves = target === "archive" ? message.folder_ids.filter((id) => canArchive(id)) : message.folder_ids;
    if (!leaves.length || leaves.includes(target)) continue;
    groups.set(leaves.join(), { leaves, ids: [...(groups.get(leaves.join())?.ids ?? []), message.id] });
  }
  return [...groups.values()].map(({ leaves, ids }) => ({
    ids, change: { add_folder_ids: [target], remove_folder_ids: leaves }, inverse: { add_folder_ids: leaves, remove_folder_ids: [target] },
  }));
}

const lastOf = (rows) => rows.map((row) => row.latest_id);

function showAtOnce(what, rows, list, target, { keyword, on }) {
  const shown = (row) => ({ read: { unread: 0 }, unread: { unread: Math.max(1, row.unread) }, star: { flagged: true }, unstar: { flagged: false },
    label: { keywords: on ? [...new Set([...row.keywords, keyword])] : row.keywords.filter((one) => one !== keyword) } })[what];
  const leaves = target && (list?.query.kind === "folder" || target === "trash" || target === "junk");
  if (leaves && list) list.remove(rows.map((row) => row.id));
  if (target) return;
  for (const row of rows) {
    list?.patch(row.id, shown(row));
    for (const id of what === "unread" || what === "star" ? [row.latest_id] : row.message_ids) {
      const flags = { read: { unread: false }, unread: { unread: true }, star: { flagged: true }, unstar: { flagged: false } }[what];
      if (flags) patchMessage(row.thread_id, id, flags);
    }
  }
}

// --- undo ---

function remember(what, done, rows, target, { keyword, on, isSilent }) {
  const changed = done.filter((one) => one.ids.length);
  if (!changed.length || isSilent) return;
  undoStack.push(changed);
  if (undoStack.length > UNDO_MAX) undoStack.shift();
  const name = what === "label" ? labels.value.find((one) => one.keyword === keyword)?.name ?? keyword : target && folderName(folderOf(target));
  const key = what === "label" ? (on ? "done.labelled" : "done.unlabelled") : target && !["archive", "junk", "trash"].includes(what) ? "done.moved" : `done.${what}`;
  toast(t(key, { n: rows.length, name }), { action: { words: t("undo"), run: undo } });
}

export async function undo() {
  const changes = undoStack.pop();
  if (!changes) return toast(t("undo.nothing"));
  await changing(async () => {
    for (const { ids, change } of changes) await carryOut({ ids, change });
    toast(t("undo.done"));
  }, { failed: "failed.undo" });
}

// --- for good ---

function askDestroy(rows, list) {
  dialog.value = {
    name: "confirm", title: t("destroy.title", { n: rows.length }), text: t("destroy.text"), verb: t("destroy.verb"),
    run: () => destroy(rows, list),
  };
}

const destroy = (rows, list) => changing(async () => {
  list.remove(rows.map((row) => row.id));
  const ids = (await Promise.all(rows.map((row) => messagesOfRow(row, list)))).flat().map((message) => message.id);
  for (let at = 0; at < ids.length; at += IDS_MAX) await carryOut({ ids: ids.slice(at, at + IDS_MAX), change: { isDestroyed: true } });
  toast(t("done.destroyed", { n: rows.length }));
});
