// One change of every message of a list or a search: the server carries it out in parts.

import { t } from "../words.js";
import { ask } from "../wire.js";
import { changing } from "./actions.js";
import { canArchive, dialog, toast } from "./state.js";

const POLL_MS = 500;

export function actOnAll(what, list, value) {
  const change = changeOf(what, list.query, value);
  if (!change) return toast(t("batch.impossible"), { kind: "error" });
  dialog.value = { name: "confirm", title: t("batch.title", { n: list.total }), text: t("batch.text"), verb: t("batch.verb"), isSafe: what !== "trash", run: () => carryOut(change, list) };
  return undefined;
}

function changeOf(what, { kind, folder }, { folder: to, keyword, on }) {
  const target = { archive: "archive", trash: "trash", junk: "junk", inbox: "inbox", move: to }[what];
  if (target) {
    if (what === "archive" && kind === "folder" && !canArchive(folder)) return null;
    if (kind === "folder") return folder === target ? null : { add_folder_ids: [target], remove_folder_ids: [folder] };
    return { folder_ids: [target] };
  }
  return { read: { unread: false }, unread: { unread: true }, star: { flagged: true }, unstar: { flagged: false }, label: { keywords: { [keyword]: on } } }[what];
}

function selectionOf({ kind, folder, filter, q }) {
  if (kind === "search") return { q, tz: Intl.DateTimeFormat().resolvedOptions().timeZone };
  return { where: {
    ...(kind === "folder" ? { folder_id: folder } : {}), ...(kind === "label" ? { keyword: folder } : {}),
    ...(kind === "starred" || filter === "starred" ? { flagged: true } : {}), ...(filter === "unread" ? { unread: true } : {}),
  } };
}

const carryOut = (change, list) => changing(async () => {
  let changed = 0, more = true;
  while (more) {
    let batch = await ask("POST", "/v1/messages/batch", { ...selectionOf(list.query), change });
    while (batch.status === "running") {
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
      batch = await ask("GET", `/v1/batches/${batch.id}`);
    }
    changed += batch.changed;
    more = batch.more && batch.changed > 0 && batch.status === "done";
  }
  toast(t("batch.done", { n: changed }));
});
