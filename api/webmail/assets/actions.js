// What becomes of the open message: to the trash, to another folder, and back where it was.

import { $, make, sizeOf } from "./view.js";
import { ask } from "./client.js";

export function folderChoice(message, folders, move) {
  const others = folders.filter((folder) => !message.folder_ids.includes(folder.id));
  const select = make("select", { "aria-label": "Move to folder" },
    make("option", { value: "" }, "Move to…"),
    ...others.map((folder) => make("option", { value: folder.id }, pathOf(folder, folders))));
  select.addEventListener("change", () => { if (select.value) move(select.value); });
  return select;
}

function pathOf(folder, folders) {
  const parent = folders.find((one) => one.id === folder.parent_id);
  return parent ? `${pathOf(parent, folders)} / ${folder.name}` : folder.name;
}

// Returns what puts it back. The trash is a folder like others, so that nothing is lost at once.
export async function moveTo(message, folderId) {
  await ask("PATCH", `/v1/messages/${message.id}`, { folder_ids: [folderId] });
  return () => ask("PATCH", `/v1/messages/${message.id}`, { folder_ids: message.folder_ids });
}

export function showDone(text, undo = null) {
  $("done").hidden = !text;
  $("done-text").textContent = text;
  $("undo").hidden = undo === null;
  $("undo").onclick = undo;
}

export function roomOf(quota) {
  const { used, limit } = quota.bytes;
  return limit === null ? `${sizeOf(used)} used` : `${sizeOf(used)} of ${sizeOf(limit)} used`;
}
