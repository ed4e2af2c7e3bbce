// The sidebar: places of mail with their counts, labels, the connection, the account.

import { html } from "../vendor/preact.js";
import { t, number, size } from "../words.js";
import { go, route } from "../router.js";
import { connection, dialog, drawer, folderName, folders, held, labels, me, openComposer, settings } from "../store/state.js";
import { saveSettings, signOut } from "../store/account.js";
import { Icon, IconButton, Menu } from "./parts.js";

const ICONS = { inbox: "inbox", drafts: "pencil", sent: "send", archive: "archive", junk: "shield-alert", trash: "trash-2" };
const VIEWS = { starred: "star", all: "mails" };
const FIRST = ["inbox", "*starred", "drafts", "scheduled", "sent", "archive", "*all", "junk", "trash"];

export function Sidebar() {
  const byId = new Map(folders.value.map((folder) => [folder.id, folder]));
  const own = tree(folders.value.filter((folder) => !folder.role));
  return html`<nav class="sidebar" aria-label=${t("folders")}>
    <div class="brand"><${Icon} name="brand" /><span>Postriver</span>
      <${IconButton} icon="x" words=${t("close")} kind="narrow-only" onClick=${() => { drawer.value = false; }} /></div>
    <button type="button" class="primary compose" onClick=${() => openComposer()}><${Icon} name="pencil" /><span>${t("compose")}</span></button>
    <div class="places">
      <ul>${FIRST.map((id) => (id[0] === "*" ? html`<${Place} key=${id} href=${`/mail/${id.slice(1)}`} icon=${VIEWS[id.slice(1)]} name=${t(`folder.${id.slice(1)}`)} on=${isAt(id.slice(1))} />`
        : id === "scheduled" ? html`<${Place} key=${id} href="/mail/scheduled" icon="clock" name=${t(id)} count=${held.value.rows.length} counts="messages.count" on=${route.value.name === id} />`
        : byId.has(id) && html`<${Folder} key=${id} folder=${byId.get(id)} />`))}</ul>
      <div class="section"><h2>${t("folders.own")}</h2><${IconButton} icon="folder-plus" words=${t("folder.new")} onClick=${() => { dialog.value = { name: "folder" }; }} /></div>
      ${own.length > 0 && html`<ul>${own.map(({ folder, depth }) => html`<${Folder} key=${folder.id} folder=${folder} depth=${depth} />`)}</ul>`}
      ${labels.value.length > 0 && html`<div class="section"><h2>${t("labels")}</h2></div>
      <ul>${labels.value.map((label) => html`<${Place} key=${label.keyword} href=${`/mail/label/${encodeURIComponent(label.keyword)}`} icon="tag" colour=${label.colour} name=${label.name}
        on=${route.value.kind === "label" && route.value.folder === label.keyword} />`)}</ul>`}
      ${me.value?.roles.includes("operator") && html`<ul class="operators"><${Place} href="/admin" icon="shield" name=${t("admin")} on=${route.value.name === "admin"} /></ul>`}
    </div>
    <${Foot} />
  </nav>`;
}

const isAt = (id) => route.value.name === "mail" && route.value.kind !== "label" && route.value.folder === id;

// Folders of the owner below their parents, in the order of names.
function tree(own, parent = null, depth = 0) {
  return own.filter((folder) => (folder.parent_id || null) === parent || (depth === 0 && folder.parent_id && !own.some((one) => one.id === folder.parent_id)))
    .sort((a, b) => a.sort_order - b.sort_order || a.name.localeCompare(b.name))
    .flatMap((folder) => [{ folder, depth }, ...(depth < 8 ? tree(own, folder.id, depth + 1) : [])]);
}

function Folder({ folder, depth = 0 }) {
  const count = folder.role === "drafts" ? folder.total : ["trash", "sent", "archive"].includes(folder.role) ? 0 : folder.unread;
  return html`<${Place} href=${`/mail/${folder.id}`} icon=${ICONS[folder.role] ?? "folder"} name=${folderName(folder)} count=${count} counts=${folder.role === "drafts" ? "messages.count" : undefined} depth=${depth} on=${isAt(folder.id)} own=${!folder.role && folder} />`;
}

function Place({ href, icon, name, count = 0, counts = "unread.count", on, depth = 0, colour, own }) {
  return html`<li>
    <a class="place" href=${href} title=${name} aria-current=${on ? "page" : undefined} data-depth=${depth} data-colour=${colour} onClick=${() => { drawer.value = false; }}>
      <${Icon} name=${icon} /><span class="name" dir="auto">${name}</span>${count > 0 && html`<span class="badge" aria-label=${t(counts, { n: count })}>${number(count)}</span>`}
    </a>
    ${own && html`<${Menu} label=${t("folder.menu", { name })} items=${[
      { words: t("folder.rename"), icon: "pencil", run: () => { dialog.value = { name: "folder", folder: own }; } },
      { words: t("folder.delete"), icon: "trash-2", kind: "danger", run: () => { dialog.value = { name: "deleteFolder", folder: own }; } },
    ]} />`}
  </li>`;
}

function Foot() {
  const { state } = connection.value, account = me.value, quota = account?.quota.bytes;
  const theme = (name) => ({ words: t(`theme.${name}`), checked: settings.value.theme === name, run: () => saveSettings({ theme: name }) });
  const language = (tag, words) => ({ words, checked: document.documentElement.lang === tag, run: () => saveSettings({ language: tag }) });
  const density = (name) => ({ words: t(`density.${name}`), checked: settings.value.density === name, run: () => saveSettings({ density: name }) });
  return html`<footer class="foot">
    <${Menu} kind="account" label=${t("account")} items=${[
      ...["system", "light", "dark"].map(theme), null, ...["comfortable", "compact"].map(density), null, language("en", "English"), language("ko", "한국어"), null,
      { words: t("settings"), icon: "settings", run: () => go("/settings") },
      { words: t("keys.title"), icon: "keyboard", run: () => { dialog.value = { name: "help" }; } },
      { words: t("signOut"), icon: "log-out", run: signOut },
    ]}>
      <span class="face" aria-hidden="true">${(account?.name || account?.address || "?").slice(0, 1).toUpperCase()}</span>
      <span class="who"><bdi>${account?.address}</bdi><small>${quota?.limit ? t("quota", { used: size(quota.used), limit: size(quota.limit) }) : quota && t("quota.free", { used: size(quota.used) })}</small></span>
    </${Menu}>
    <p class="connection" data-state=${state} role="status"><span class="lamp" aria-hidden="true"></span><span>${t(`line.${state}`)}</span></p>
  </footer>`;
}
