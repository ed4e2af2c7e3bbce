// What the whole page knows: who is signed in, folders, settings, the connection, toasts.

import { computed, signal } from "../vendor/preact.js";
import { t } from "../words.js";

export const DEFAULTS = { language: "", zone: "", theme: "system", density: "comfortable", pane: "right", conversations: true, mark_read_after_s: 1, after_archive: "next", single_keys: true, undo_send_s: 10, plain_text: false, labels: [], remote_images: "ask", image_senders: [] };

export const session = signal("starting"); // starting | out | in | expired (the page stays under the sign-in)
export const notice = signal(""); // a sentence over the sign-in
export const me = signal(null);
export const folders = signal([]);
export const settings = signal(DEFAULTS);
export const limits = signal({ remote_images: false }); // of the server
export const identities = signal([]);
export const connection = signal({ state: "connecting", seconds: 0 });
export const toasts = signal([]);
export const announcement = signal("");
export const drawer = signal(false);
export const dialog = signal(null); // { name, ...values } of the dialog that is open

export const newVersion = signal(false); // the service has another page than this one
export const leaving = new Set(); // functions that keep what was written before the page is loaded again; false: not now

export async function reloadPage() {
  const answers = await Promise.all([...leaving].map((keep) => keep()));
  if (answers.includes(false)) toast(t("newVersion.wait"), { kind: "error" });
  else location.reload();
}

// After what the page has to do and to paint now; a page that is always busy does it too.
const IDLE_WAIT = { timeout: 1000 };
export const idle = () => new Promise((resolve) => { if (globalThis.requestIdleCallback) requestIdleCallback(resolve, IDLE_WAIT); else setTimeout(resolve); });

// After keys and clicks that follow each other too: what may be needed later must not delay them.
const CALM_MS = 400;
let actedAt = -Infinity;
for (const type of ["keydown", "pointerdown"]) addEventListener(type, (event) => { actedAt = event.timeStamp; }, { capture: true, passive: true });
export async function calm() {
  for (let rest; (rest = actedAt + CALM_MS - performance.now()) > 0;) await new Promise((resolve) => { setTimeout(resolve, rest); });
  return idle();
}

export const composers = signal([]); // { key, start | draftId | restored }

export const openComposer = (what = {}) => { composers.value = [...composers.value, { key: crypto.randomUUID(), ...what }].slice(-3); };
export const closeComposer = (key) => { composers.value = composers.value.filter((one) => one.key !== key); };

export const outbox = signal([]); // what waits for the service, oldest first: { key, ids, change } or { key, send, draft }
export const waiting = computed(() => outbox.value.filter((one) => one.change).map(({ ids, change }) => ({ ids: new Set(ids), change })));
export const held = signal({ rows: [], error: null }); // mail that waits for its time, next first
export const busy = signal(0); // changes on their way: lists are not read again until they are made
export const afterChange = signal(null); // the last change that was made or refused: { isMade }

export const labels = computed(() => settings.value.labels);
export const inboxUnread = computed(() => folderOf("inbox")?.unread ?? 0);

export const folderOf = (id) => folders.value.find((folder) => folder.id === id);

export const folderName = (folder) => (folder ? (folder.role ? t(`folder.${folder.role}`) : folder.name) : "");

const NOT_ARCHIVED = new Set(["archive", "sent", "trash", "junk", "drafts"]);
export const canArchive = (place) => !NOT_ARCHIVED.has(place);

export function setCounts(changed) {
  if (!changed.length) return;
  const counts = new Map(changed.map((one) => [one.id, one]));
  folders.value = folders.value.map((folder) => ({ ...folder, ...counts.get(folder.id) }));
}

export const isMine = (address) => me.value?.addresses.some((own) => own.toLowerCase() === address?.toLowerCase()) ?? false;

export function nameOf(person, short = false) {
  const name = person?.name || person?.address || t("no.sender");
  return short && /^[\p{L}'-]+ /u.test(name) ? name.split(" ")[0] : name;
}

// --- toasts ---

const TOAST_MS = 8000;
let toastId = 0;

// Shows a sentence. `action`: { words, run }; `kind` "error" stays until it is closed. Returns its id.
export function toast(text, { action = null, kind = "done", ms = TOAST_MS } = {}) {
  const id = ++toastId;
  toasts.value = [...toasts.value.filter((one) => kind === "error" || one.kind === "error"), { id, text, action, kind }].slice(-3);
  if (kind !== "error") setTimeout(() => closeToast(id), ms);
  return id;
}

export const closeToast = (id) => { toasts.value = toasts.value.filter((one) => one.id !== id); };

export const undoStack = []; // of store/actions.js

export function reset() {
  undoStack.length = 0;
  me.value = null;
  folders.value = [];
  settings.value = DEFAULTS;
  identities.value = [];
  composers.value = [];
  outbox.value = [];
  held.value = { rows: [], error: null };
  toasts.value = [];
  announcement.value = "";
  dialog.value = null;
  drawer.value = false;
}
