// Starts the page, and is its frame: sidebar, list, reading pane, and what lies over them.

import { html, render, useEffect, useSignal } from "../vendor/preact.js";
import { fileAt } from "../files.js";
import { language, loadWords, preferredLanguage, t } from "../words.js";
import { setLook } from "../root.js";
import { useActs } from "../keys.js";
import { go, listPath, route } from "../router.js";
import { composers, connection, dialog, drawer, inboxUnread, newVersion, notice, openComposer, outbox, reloadPage, session, settings } from "../store/state.js";
import { ListPane, countOf, titleOf } from "../list/pane.js";
import { followRoute, list, loadActions, selectNone, selected } from "../list/current.js";
import { begin, retry } from "../store/account.js";
import { Sidebar } from "./sidebar.js";
import { Icon, Toasts } from "./parts.js";

// Parts that the first screen does not need; each is loaded once, when it is.
const LATER = {
  thread: () => import("../mail/thread.js"),
  signIn: () => import("./sign-in.js"),
  scheduled: () => import("../scheduled/page.js"),
  settings: () => import("../settings/page.js"),
  admin: () => import("../admin/page.js"),
  composer: () => import("../compose/composer.js"),
  dialogs: () => import("./dialogs.js"),
};

const STARTING_MS = 200;
const loaded = {}; // the modules that are there, by part
const load = async (part) => { loaded[part] = await LATER[part](); };

function Later({ part, name, ...props }) {
  const now = useSignal(""), failed = useSignal(false), Part = loaded[part]?.[name];
  // Also where the module came between the drawing and this effect: nothing else would draw it then.
  useEffect(() => { if (!Part) load(part).then(() => { now.value = part; }, () => { failed.value = true; }); }, [part]);
  void now.value;
  if (failed.value) return html`<div class="empty" role="alert"><p>${t("newVersion")}</p><button type="button" class="primary" onClick=${reloadPage}>${t("reload")}</button></div>`;
  return Part ? html`<${Part} ...${props} />` : null;
}

function App() {
  if (session.value === "starting") return html`<div class="starting" role="status"><${Icon} name="brand" /><p>${notice.value || t("starting")}</p></div>`;
  if (session.value === "out") return html`<${Later} part="signIn" name="SignIn" />`;
  return html`<${Page} />${session.value === "expired" && html`<${Later} part="signIn" name="SignInAgain" />`}`;
}

const isNarrow = () => matchMedia("(max-width: 719px)").matches;

function Page() {
  const { name, thread } = route.value;
  const isReading = name === "mail" && Boolean(thread);
  useEffect(() => {
    if (name !== "compose") return;
    const { draft, query } = route.value;
    const people = (query.to ?? "").split(",").map((address) => ({ name: "", address: address.trim() })).filter((one) => one.address);
    openComposer(draft ? { draftId: draft } : { start: { to: people, subject: query.subject ?? "", ...(query.body ? { isPlain: true, text: query.body } : {}) } });
    go(draft ? "/mail/drafts" : "/mail/inbox", { replace: true });
  }, [name]);
  useActs({
    back: () => (selected.value.size ? selectNone() : isReading && go(listPath())), goInbox: () => go("/mail/inbox"), goStarred: () => go("/mail/starred"), goSent: () => go("/mail/sent"),
    goDrafts: () => go("/mail/drafts"), goAll: () => go("/mail/all"), goFolder: () => { dialog.value = { name: "goto" }; }, help: () => { dialog.value = { name: "help" }; },
    compose: () => openComposer(), commands: () => { dialog.value = { name: "commands" }; },
  }, [isReading]);
  return html`<div class="page" data-reading=${isReading} data-pane=${settings.value.pane} data-drawer=${drawer.value} inert=${session.value === "expired"}>
    <${Offline} />
    <${NewVersion} />
    <${Sidebar} key=${language()} />
    ${drawer.value && html`<div class="shade" onClick=${() => { drawer.value = false; }}></div>`}
    ${name === "settings" ? html`<${Later} part="settings" name="Settings" />` : name === "admin" ? html`<${Later} part="admin" name="Admin" key=${language()} />` : name === "scheduled" ? html`<${Later} part="scheduled" name="Scheduled" key=${language()} />` : html`<${ListPane} key=${language()} />
    <section class="reader" role=${isReading && isNarrow() ? "main" : undefined} aria-label=${t("reader")}>
      ${isReading ? html`<${Later} part="thread" name="ThreadView" key=${thread} id=${thread} message=${route.value.message} />` : html`<${NothingOpen} />`}
    </section>`}
    <div class="composers">${composers.value.map((one) => html`<${Later} key=${one.key} part="composer" name="Composer" composer=${one} />`)}</div>
    <${Toasts} />
    <${Title} />
    ${dialog.value && html`<${Later} part="dialogs" name="OpenDialog" />`}
  </div>`;
}

function NothingOpen() {
  void list.value?.counted;
  const total = list.value?.total;
  return html`<div class="empty nothing-open"><${Icon} name="mail-open" /><p>${total ? countOf(list.value) : t("reader.empty")}</p><p class="hint">${t("reader.keys")}</p></div>`;
}

// Says that the page is cut off, and when it tries again.
function Offline() {
  const { state, seconds } = connection.value;
  if (state !== "off") return null;
  const n = outbox.value.length;
  return html`<div class="banner" role="status"><${Icon} name="cloud-off" /><p><strong>${t("off.title")}</strong> ${t("off.text")} ${n > 0 && t("off.waiting", { n })} ${t("off.again", { n: seconds })}</p>
    ${n > 0 && html`<button type="button" onClick=${() => { dialog.value = { name: "outbox" }; }}>${t("off.show")}</button>`}
    <button type="button" onClick=${retry}>${t("off.now")}</button></div>`;
}

// Another version is there: what is being written is kept on the device, and open again after the reload.
function NewVersion() {
  if (!newVersion.value || connection.value.state === "off") return null;
  return html`<div class="banner" role="status"><${Icon} name="refresh-cw" /><p><strong>${t("newVersion")}</strong> ${t("newVersion.text")}</p>
    <button type="button" onClick=${reloadPage}>${t("reload")}</button></div>`;
}

function Title() {
  const unread = inboxUnread.value, title = ["settings", "admin", "scheduled"].includes(route.value.name) ? t(route.value.name) : list.value ? titleOf(list.value.query) : "";
  useEffect(() => {
    document.title = `${unread ? `(${unread}) ` : ""}${title} · Postriver`;
    const link = document.querySelector("link[rel=icon]"), address = fileAt(unread ? "favicon-unread.png" : "favicon.png");
    if (link.getAttribute("href") !== address) link.href = address;
    navigator.setAppBadge?.(unread).catch(() => {});
  }, [unread, title]);
  return null;
}

setLook({ theme: localStorage.getItem("theme") ?? "system" });
let follow = null;
session.subscribe((state) => {
  if (state === "in") follow ??= followRoute();
  else if (state === "out") follow = follow?.();
  // What is opened by a key or a click should not wait for its module then.
  if (state === "in") setTimeout(() => [loadActions(), load("thread"), load("dialogs"), import("../list/ahead.js")], 300);
});
begin(); // beside the words
await loadWords(preferredLanguage());
// What comes soon is the first thing that is drawn. If it comes later, there is a screen that says that it will come, or the last
// screen (list/last-screen.js).
const last = document.getElementById("last-screen");
await new Promise((resolve) => {
  if (!last) setTimeout(resolve, STARTING_MS);
  session.subscribe((state) => { if (state !== "starting") resolve(); });
  notice.subscribe((words) => { if (words) resolve(); });
});
last?.remove();
render(html`<${App} />`, document.getElementById("page"));
