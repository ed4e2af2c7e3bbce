// Dialogs: choose a folder or labels, make a folder, confirm, the list of keys, commands.

import { html, useRef, useState } from "../vendor/preact.js";
import { t } from "../words.js";
import { KEYS, isBound, run } from "../keys.js";
import { go, route } from "../router.js";
import { dialog, folderName, folderOf, folders, labels, outbox, settings, toast } from "../store/state.js";
import { Failure, ask } from "../wire.js";
import { saveSettings } from "../store/account.js";
import { moment, wallTime } from "./times.js";
import { perform, targets } from "../list/current.js";
import { Dialog, Icon } from "./parts.js";

const close = () => { dialog.value = null; };

export function OpenDialog() {
  const { name, ...values } = dialog.value;
  const Part = { confirm: Confirm, time: Time, readAll: ReadAll, empty: Empty, move: Move, goto: GoTo, label: Labels, folder: FolderName, deleteFolder: DeleteFolder, outbox: Waiting, help: Help, commands: Commands }[name];
  return html`<${Part} key=${name} ...${values} />`;
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    toast(t("failed.change", { why: error.message }), { kind: "error" });
  }
}

function Confirm({ title, text, verb, isSafe = false, run: agreed }) {
  return html`<${Dialog} title=${title} onClose=${close}>
    <p>${text}</p>
    <footer><button type="button" onClick=${close}>${t("cancel")}</button>
      <button type="button" class=${isSafe ? "primary" : "danger"} autofocus onClick=${() => { close(); agreed(); }}>${verb}</button></footer>
  </${Dialog}>`;
}

// Asks for a time to send at, in the user's zone; `at` is the present one.
function Time({ run: chosen, at = null, verb = t("send") }) {
  const first = wallTime(new Date(Date.now() + 60_000)), value = wallTime(at ? new Date(at) : new Date(Date.now() + 3_600_000));
  const submit = (event) => { event.preventDefault(); const { value: wall } = event.target.elements.at; close(); chosen(moment(wall)); };
  return html`<${Dialog} title=${t("send.later")} onClose=${close}><form onSubmit=${submit}>
    <input type="datetime-local" name="at" required autofocus aria-label=${t("send.own")} min=${first} defaultValue=${value} />
    <footer><button type="button" onClick=${close}>${t("cancel")}</button><button type="submit" class="primary">${verb}</button></footer></form></${Dialog}>`;
}

const ReadAll = ({ folder }) => html`<${Confirm} title=${t("readAll.title", { name: folderName(folderOf(folder)) })} text=${t("readAll.text")} verb=${t("readAll.verb")}
  run=${() => attempt(() => ask("POST", `/v1/folders/${folder}/read`))} />`;

const Empty = ({ folder }) => html`<${Confirm} title=${t("empty.title", { name: folderName(folderOf(folder)) })} text=${t("destroy.text")} verb=${t("empty.verb")}
  run=${() => attempt(() => ask("POST", `/v1/folders/${folder}/empty`))} />`;

const DeleteFolder = ({ folder }) => html`<${Confirm} title=${t("folder.delete.title", { name: folder.name })} text=${t("folder.delete.text")} verb=${t("folder.delete")}
  run=${() => attempt(async () => { await ask("DELETE", `/v1/folders/${folder.id}`); if (route.value.folder === folder.id) go("/mail/inbox"); })} />`;

// A list that is narrowed by typing; the arrows move in it, Enter takes one.
function Chooser({ title, items, onChoose, placeholder, children }) {
  const [text, setText] = useState(""), [at, setAt] = useState(0), list = useRef();
  const found = items.filter((item) => item.words.toLowerCase().includes(text.trim().toLowerCase()));
  const current = Math.min(at, Math.max(0, found.length - 1));
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt((current + step + found.length) % Math.max(1, found.length));
      list.current.children[(current + step + found.length) % found.length]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && !event.isComposing && found[current]) {
      event.preventDefault();
      onChoose(found[current]);
    }
  };
  return html`<${Dialog} title=${title} onClose=${close} kind="chooser">
    <input type="text" role="combobox" aria-expanded="true" aria-controls="choices" aria-activedescendant=${found[current] ? `choice-${current}` : undefined} aria-label=${placeholder} placeholder=${placeholder}
      autofocus autocomplete="off" value=${text} onInput=${(event) => { setText(event.target.value); setAt(0); }} onKeyDown=${move} />
    <div class="choices" id="choices" role="listbox" aria-label=${title} ref=${list}>${found.map((item, index) => html`<button type="button" role="option" id=${`choice-${index}`} tabindex="-1" aria-selected=${index === current} key=${item.id}
      onClick=${() => onChoose(item)}><${Icon} name=${item.icon} /><span>${item.words}</span>${item.hint && html`<kbd>${item.hint}</kbd>`}</button>`)}</div>
    ${!found.length && html`<p class="hint">${t("chooser.none")}</p>`}
    ${children}
  </${Dialog}>`;
}

const pathOf = (folder) => (folder.parent_id && folderOf(folder.parent_id) ? `${pathOf(folderOf(folder.parent_id))} / ` : "") + folderName(folder);
const folderItems = (test = () => true) => folders.value.filter(test).map((folder) => ({ id: folder.id, words: pathOf(folder), icon: folder.role === "inbox" ? "inbox" : "folder" }));

function Move() {
  const rows = targets();
  return html`<${Chooser} title=${t("move.title")} placeholder=${t("move.placeholder")} items=${folderItems((folder) => folder.id !== route.value.folder && folder.role !== "drafts" && folder.role !== "sent")}
    onChoose=${(item) => { close(); perform("move", { folder: item.id }, rows); }} />`;
}

function GoTo() {
  return html`<${Chooser} title=${t("goto.title")} placeholder=${t("move.placeholder")} items=${folderItems()} onChoose=${(item) => { close(); go(`/mail/${item.id}`); }} />`;
}

const COLOURS = ["teal", "blue", "purple", "pink", "red", "orange", "yellow", "green", "grey"];

function Labels() {
  const rows = targets(), [name, setName] = useState("");
  const has = (keyword) => rows.length > 0 && rows.every((row) => row.keywords.includes(keyword));
  const add = async (event) => {
    event.preventDefault();
    const keyword = keywordOf(name);
    if (!keyword) return;
    if (!labels.value.some((label) => label.keyword === keyword)) {
      await saveSettings({ labels: [...labels.value, { keyword, name: name.trim(), colour: COLOURS[labels.value.length % COLOURS.length] }] });
    }
    close();
    perform("label", { keyword, on: true }, rows);
  };
  return html`<${Dialog} title=${t("label.title")} onClose=${close} kind="chooser">
    <div class="choices">${labels.value.map((label) => html`<button type="button" role="checkbox" aria-checked=${has(label.keyword)} key=${label.keyword}
      onClick=${() => { close(); perform("label", { keyword: label.keyword, on: !has(label.keyword) }, rows); }}><${Icon} name=${has(label.keyword) ? "square-check" : "square"} /><span class="chip" data-colour=${label.colour}>${label.name}</span></button>`)}</div>
    <form class="row-form" onSubmit=${add}><input type="text" autofocus maxlength="60" aria-label=${t("label.new")} placeholder=${t("label.new")} value=${name} onInput=${(event) => setName(event.target.value)} />
      <button type="submit" class="primary" disabled=${!name.trim()}>${t("label.add")}</button></form>
  </${Dialog}>`;
}

// A keyword (RFC 8621 §4.1.1) for a name in any script.
function keywordOf(name) {
  const plain = name.trim().toLowerCase().replace(/\s+/g, "-");
  if (/^[a-z0-9_.-]+$/.test(plain)) return plain;
  return plain && `label-${[...new TextEncoder().encode(plain)].map((octet) => octet.toString(16).padStart(2, "0")).join("").slice(0, 90)}`;
}

function FolderName({ folder = null }) {
  const [name, setName] = useState(folder?.name ?? "");
  const save = (event) => {
    event.preventDefault();
    close();
    attempt(() => (folder ? ask("PATCH", `/v1/folders/${folder.id}`, { name: name.trim() }) : ask("POST", "/v1/folders", { name: name.trim() })));
  };
  return html`<${Dialog} title=${t(folder ? "folder.rename" : "folder.new")} onClose=${close}>
    <form onSubmit=${save}><label>${t("folder.name")}<input type="text" autofocus required maxlength="100" value=${name} onInput=${(event) => setName(event.target.value)} /></label>
      <footer><button type="button" onClick=${close}>${t("cancel")}</button><button type="submit" class="primary" disabled=${!name.trim()}>${t("save")}</button></footer></form>
  </${Dialog}>`;
}

// What waits for the service, in its order; a mail can be taken back.
function Waiting() {
  const back = async (key) => { close(); (await import("../store/outbox.js")).takeBack(key); };
  return html`<${Dialog} title=${t("outbox.title")} onClose=${close}>
    <ul class="outbox">${outbox.value.map((one) => html`<li key=${one.key}>${one.send ? html`<${Icon} name="send-horizontal" /><bdi class="filename">${one.draft.fields.subject || t("no.subject")}</bdi><span class="grow"></span>
      <button type="button" onClick=${() => back(one.key)}>${t("outbox.takeBack")}</button>` : html`<${Icon} name="pencil" />${t(one.discard ? "draft.discard" : "outbox.change", { n: one.ids?.length })}`}</li>`)}</ul>
    ${!outbox.value.length && html`<p class="hint">${t("outbox.empty")}</p>`}
  </${Dialog}>`;
}

const shownKey = (key) => key.replace("Arrow", "").replace(/^([A-Z])$/, "Shift+$1").split(" ");

function Help() {
  const groups = ["list", "act", "mail", "go"];
  return html`<${Dialog} title=${t("keys.title")} onClose=${close} kind="wide">
    ${!settings.value.single_keys && html`<p class="hint">${t("keys.off")}</p>`}
    <div class="key-groups">${groups.filter((group) => KEYS.some((row) => row.group === group && isBound(row.act))).map((group) => html`<section><h3>${t(`keys.${group}`)}</h3><dl>${KEYS.filter((row) => row.group === group && isBound(row.act)).map((row) => html`
      <dt>${row.keys.map((keys, index) => html`${index > 0 && " "}<span>${shownKey(keys).map((key) => html`<kbd>${key}</kbd>`)}</span>`)}</dt><dd>${t(`key.${row.act}`)}</dd>`)}</dl></section>`)}</div>
  </${Dialog}>`;
}

function Commands() {
  const items = KEYS.filter((row) => isBound(row.act) && !["commands", "next", "previous", "open", "first", "last", "pageUp", "pageDown"].includes(row.act))
    .map((row) => ({ id: row.act, words: t(`key.${row.act}`), icon: "command", hint: row.keys[0] }));
  return html`<${Chooser} title=${t("commands.title")} placeholder=${t("commands.placeholder")} items=${items} onChoose=${(item) => { close(); run(item.id); }} />`;
}
