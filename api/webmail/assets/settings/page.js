// Settings: a tab for each subject; each change is saved at once.

import { html, useSignal } from "../vendor/preact.js";
import { VERSION, addSheet, fileAt } from "../files.js";
import { t, size } from "../words.js";
import { go, route } from "../router.js";
import { labels, limits, me } from "../store/state.js";
import { saveSettings } from "../store/account.js";
import { Icon, IconButton } from "../shell/parts.js";
import { Choice, Switch } from "./fields.js";
import { Identities } from "./identities.js";
import { Security } from "./security.js";

addSheet("settings");

const TABS = { general: General, writing: Identities, labels: Labels, security: Security, about: About };

export function Settings() {
  const tab = TABS[route.value.tab] ? route.value.tab : "general", Tab = TABS[tab];
  return html`<main class="settings" aria-labelledby="settings-title">
    <header><${IconButton} icon="arrow-left" words=${t("back")} onClick=${() => go("/mail/inbox")} /><h1 id="settings-title">${t("settings")}</h1></header>
    <nav aria-label=${t("settings")}>${Object.keys(TABS).map((name) => html`<a key=${name} href=${`/settings/${name}`} aria-current=${name === tab ? "page" : undefined}>${t(`settings.${name}`)}</a>`)}</nav>
    <div class="tab"><${Tab} /></div>
  </main>`;
}

const seconds = (values) => values.map((n) => [n, t("settings.seconds", { n })]);

function General() {
  const zones = ["", ...(Intl.supportedValuesOf?.("timeZone") ?? [])];
  return html`<h2>${t("settings.look")}</h2>
    <${Choice} name="language" words=${t("settings.language")} values=${[["", t("settings.ofBrowser")], ["en", "English"], ["ko", "한국어"]]} />
    <${Choice} name="zone" words=${t("settings.zone")} values=${zones.map((zone) => [zone, zone || t("settings.ofBrowser")])} />
    <${Choice} name="theme" words=${t("settings.theme")} values=${["system", "light", "dark"].map((one) => [one, t(`theme.${one}`)])} />
    <${Choice} name="density" words=${t("settings.density")} values=${["comfortable", "compact"].map((one) => [one, t(`density.${one}`)])} />
    <h2>${t("settings.reading")}</h2>
    <${Switch} name="conversations" words=${t("settings.conversations")} hint=${t("settings.conversations.hint")} />
    <${Choice} name="mark_read_after_s" words=${t("settings.markRead")} values=${[[0, t("settings.atOnce")], ...seconds([1, 3, 10]), [null, t("settings.never")]]} />
    <${Choice} name="after_archive" words=${t("settings.afterArchive")} values=${["next", "previous", "list"].map((one) => [one, t(`settings.after.${one}`)])} />
    ${limits.value.remote_images && html`<${Choice} name="remote_images" words=${t("settings.remoteImages")} hint=${t("settings.remoteImages.hint")} values=${["ask", "senders", "never"].map((one) => [one, t(`settings.remoteImages.${one}`)])} />`}
    <h2>${t("settings.notifications")}</h2>
    <${Choice} name="notify" words=${t("settings.notify")} values=${["all", "inbox", "off"].map((one) => [one, t(`notify.${one}`)])} />
    <${Choice} name="notify_shows" words=${t("settings.notifyShows")} values=${["all", "sender", "nothing"].map((one) => [one, t(`notify.shows.${one}`)])} />
    <${Permission} />
    <h2>${t("settings.keys")}</h2>
    <${Switch} name="single_keys" words=${t("settings.singleKeys")} hint=${t("settings.singleKeys.hint")} />`;
}

function Permission() {
  const state = useSignal(globalThis.Notification?.permission ?? "denied");
  if (state.value !== "default") return html`<p class="hint">${t(state.value === "granted" ? "notify.granted" : "notify.denied")}</p>`;
  return html`<button type="button" onClick=${async () => { state.value = await Notification.requestPermission(); }}>${t("notify.ask")}</button>`;
}

const COLOURS = ["grey", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"];

function Labels() {
  const change = (keyword, values) => saveSettings({ labels: labels.value.map((one) => (one.keyword === keyword ? { ...one, ...values } : one)) });
  return html`<h2>${t("labels")}</h2><p class="hint">${t("settings.labels.hint")}</p>
    <ul class="table">${labels.value.map((label) => html`<li key=${label.keyword}>
      <span class="chip" data-colour=${label.colour}>${label.name}</span>
      <input type="text" maxlength="60" aria-label=${t("settings.labelName", { name: label.name })} value=${label.name} onChange=${(event) => event.target.value.trim() && change(label.keyword, { name: event.target.value.trim() })} />
      <select aria-label=${t("settings.labelColour", { name: label.name })} value=${label.colour} onChange=${(event) => change(label.keyword, { colour: event.target.value })}>${COLOURS.map((one) => html`<option key=${one} value=${one}>${t(`colour.${one}`)}</option>`)}</select>
      <${IconButton} icon="trash-2" words=${t("settings.labelDelete", { name: label.name })} onClick=${() => saveSettings({ labels: labels.value.filter((one) => one.keyword !== label.keyword) })} />
    </li>`)}</ul>
    ${!labels.value.length && html`<p>${t("settings.noLabels")}</p>`}`;
}

function About() {
  const { quota, addresses } = me.value;
  return html`<h2>${t("settings.storage")}</h2>
    <p>${quota.bytes.limit ? t("quota", { used: size(quota.bytes.used), limit: size(quota.bytes.limit) }) : t("quota.free", { used: size(quota.bytes.used) })}</p>
    ${quota.bytes.limit && html`<progress max=${quota.bytes.limit} value=${quota.bytes.used} aria-label=${t("settings.storage")}></progress>`}
    <h2>${t("settings.addresses")}</h2><ul>${addresses.map((address) => html`<li key=${address}><bdi>${address}</bdi></li>`)}</ul>
    <h2>${t("settings.software")}</h2><p>Postriver <code>${VERSION}</code></p>
    <p><a href=${fileAt("vendor/licences.txt")} target="_blank"><${Icon} name="file-text" />${t("settings.licences")}</a></p>`;
}
