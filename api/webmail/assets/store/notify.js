// Desktop notifications of new mail while the page is hidden: grouped, and with no more than the user allows.

import { fileAt } from "../files.js";
import { t } from "../words.js";
import { nameOf, settings } from "./state.js";
import { go, listPath } from "../router.js";

const GROUP_MS = 10_000;
const SINGLE_MAX = 3; // in GROUP_MS; more become one notification
let recent = [];

export function notify(message) {
  const { notify: kind, notify_shows: shows } = settings.value;
  const isWanted = kind === "all" ? !message.folder_ids.some((id) => id === "junk" || id === "trash" || id === "sent") : message.folder_ids.includes("inbox");
  if (kind === "off" || !isWanted || !document.hidden || globalThis.Notification?.permission !== "granted") return;
  recent = [...recent.filter((at) => at > Date.now() - GROUP_MS), Date.now()];
  const isMany = recent.length > SINGLE_MAX;
  const title = isMany ? t("notify.many", { n: recent.length }) : shows === "nothing" ? t("notify.one") : nameOf(message.from);
  const text = !isMany && shows === "all" ? message.subject : "";
  const shown = new Notification(title, { body: text, tag: isMany ? "many" : message.id, icon: fileAt("favicon.png") });
  shown.onclick = () => {
    focus();
    go(isMany ? listPath({ kind: "folder", folder: "inbox", query: {} }) : `/mail/${message.folder_ids[0]}/${message.thread_id}`);
    shown.close();
  };
}
