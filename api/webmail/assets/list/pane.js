// The list's column: head with title, search and filters, or the actions of a selection; then the rows.

import { html, useLayoutEffect, useRef, useSignalEffect } from "../vendor/preact.js";
import { t, number } from "../words.js";
import { useActs } from "../keys.js";
import { go, route, withQuery } from "../router.js";
import { dialog, drawer, folderName, folderOf, labels, openComposer, settings } from "../store/state.js";
import { IconButton, Icon, Menu } from "../shell/parts.js";
import { PAGE } from "../store/rows.js";
import { prefetch } from "../store/threads.js";
import { ListWindow, rowNode } from "./rows.js";
import { allMatching, cursor, cursorAt, currentRow, keptTop, list, moveTo, openNeighbour, openRow, perform, place, refreshSoon, select, selectNone, selectWhere, selected, targets, window_ } from "./current.js";

const HEIGHTS = { comfortable: 76, compact: 56 };
const HOVER_MS = 80;

export const titleOf = ({ kind, folder, q }) => ({
  all: () => t("folder.all"), starred: () => t("folder.starred"), search: () => t("search.title", { q }),
  label: () => labels.value.find((label) => label.keyword === folder)?.name ?? folder,
  folder: () => folderName(folderOf(folder)) || t("folder.missing"),
})[kind]();

// How many rows a list has, in their unit.
export function countOf(one) {
  const isSearch = one.query.kind === "search", { found, isExact } = one.details;
  const words = one.byMessage ? t("messages.count", { n: isSearch ? found : one.total }) : t("conversations.count", { n: one.total });
  return !isSearch || (one.byMessage ? isExact : one.cursor === null) ? words : t("search.atLeast", { count: words });
}

export function ListPane() {
  const one = list.value;
  if (!one) return html`<main class="list-pane"></main>`;
  return html`<main class="list-pane" aria-labelledby="list-title">
    <${Head} list=${one} />
    <${Rows} />
    <${Message} list=${one} />
    <${ComposeHere} />
  </main>`;
}

function ComposeHere() {
  if (selected.value.size) return null;
  return html`<button type="button" class="primary narrow-only compose-here" aria-label=${t("compose")} onClick=${() => openComposer()}><${Icon} name="pencil" /></button>`;
}

function Head({ list: one }) {
  const { kind, filter } = one.query;
  void one.counted;
  const isSearch = kind === "search", count = one.total !== null && (isSearch ? one.total > 0 && countOf(one) : number(one.total));
  const isSelecting = selected.value.size > 0;
  return html`<header class=${`list-head${isSelecting ? " selecting" : ""}`}>
    ${isSelecting && html`<${AllOffer} list=${one} />`}
    ${isSelecting ? html`<${SelectionBar} />` : html`<${TitleBar} list=${one} count=${count} />`}
    <${SearchBox} value=${isSearch ? one.query.q : ""} />
    ${isSearch && html`<${Terms} list=${one} />`}
    ${isSearch ? html`<${Order} list=${one} />` : html`<div class="filters" role="group" aria-label=${t("filter")}>
      ${["", "unread", ...(kind === "starred" ? [] : ["starred"])].map((name) => html`<a href=${withQuery({ unread: name === "unread" && "1", starred: name === "starred" && "1" })}
        aria-current=${filter === name ? "true" : undefined}>${t(`filter.${name || "all"}`)}</a>`)}
    </div>`}
  </header>`;
}

function TitleBar({ list: one, count }) {
  const { kind, folder } = one.query;
  return html`<div class="bar">
      <${IconButton} icon="menu" words=${t("folders")} kind="narrow-only" onClick=${() => { drawer.value = true; }} />
      <h1 id="list-title">${titleOf(one.query)}</h1>
      <span class="total">${count || ""}</span>
      <span class="grow"></span>
      ${kind !== "search" && html`<${Menu} label=${t("list.more")} items=${[
        kind === "folder" && { words: t("list.readAll"), icon: "mail-open", run: () => dialog.value = { name: "readAll", folder } },
        kind === "folder" && ["trash", "junk"].includes(folder) && { words: t(`list.empty.${folder}`), icon: "trash-2", kind: "danger", run: () => dialog.value = { name: "empty", folder } },
        { words: t("list.selectLoaded"), icon: "list-checks", run: () => selectWhere(() => true) },
        { words: t("list.refresh"), icon: "refresh-cw", run: () => refreshSoon() },
      ].filter(Boolean)} />`}
    </div>`;
}

function SearchBox({ value }) {
  const field = useRef();
  useActs({ search: () => field.current.select() || field.current.focus() }, []);
  useLayoutEffect(() => { field.current.value = value; }, [value]);
  const submit = (event) => {
    event.preventDefault();
    const q = field.current.value.trim();
    if (q) go(`/search?q=${encodeURIComponent(q)}`);
  };
  return html`<form class="search" role="search" onSubmit=${submit}>
    <${Icon} name="search" />
    <input ref=${field} type="search" name="q" aria-label=${t("search")} placeholder=${t("search.placeholder")} autocomplete="off" spellcheck=${false} maxlength="512" />
    ${value && html`<${IconButton} icon="x" words=${t("search.close")} onClick=${() => go("/mail/inbox")} />`}
  </form>`;
}

// The search as the server reads it: a chip for each part, which can be taken out.
function Terms({ list: one }) {
  const { terms = [] } = one.details, letters = [...one.query.q]; // the server counts characters, not UTF-16 units
  const text = ({ at, end }) => letters.slice(at, end).join("").trim();
  const without = ({ at, end }) => {
    const q = [...letters.slice(0, at), ...letters.slice(end)].join("").trim();
    go(q ? withQuery({ q }) : "/mail/inbox");
  };
  return terms.length > 0 && html`<ul class="chips terms" aria-label=${t("search.terms")}>${terms.map((term) => html`<li key=${term.at} class=${`chip${term.negated ? " negated" : ""}`}><bdi>${text(term)}</bdi>
    <button type="button" aria-label=${t("search.without", { term: text(term) })} onClick=${() => without(term)}><${Icon} name="x" /></button></li>`)}</ul>`;
}

function Order({ list: one }) {
  const { details, query } = one;
  return html`<div class="filters" role="group" aria-label=${t("search.order")}>
    ${["date", "relevance"].map((name) => html`<a href=${withQuery({ order: name === "relevance" && name })} aria-current=${(query.order ?? "date") === name ? "true" : undefined}>${t(`search.by.${name}`)}</a>`)}
    ${details.isComplete === false && html`<span class="hint">${t("search.incomplete")}</span>`}
  </div>`;
}

// Offers more than the rows that were read, once all of them are selected.
function AllOffer({ list: one }) {
  void one.version.value;
  const read = one.rows.filter(Boolean).length, isAll = selected.value.size >= read && (one.total > read || read >= PAGE);
  if (!isAll && !allMatching.value) return null;
  return html`<p class="offer">${allMatching.value ? html`${t("selection.everything")} <button type="button" class="quiet" onClick=${selectNone}>${t("selection.none")}</button>`
    : html`<button type="button" class="quiet" onClick=${() => { allMatching.value = true; }}>${t("selection.all")}</button>`}</p>`;
}

function SelectionBar() {
  const rows = [...selected.value.values()];
  const some = (test) => rows.some(test), { canArchive, isTrash, isJunk } = place.value;
  return html`<div class="bar" role="toolbar" aria-label=${t("selection")}>
      <${IconButton} icon="x" words=${t("selection.none")} act="selectNone" onClick=${selectNone} />
      <h1 id="list-title">${allMatching.value ? t("selection.allCount") : t("selection.count", { n: rows.length })}</h1>
      <span class="grow"></span>
      ${canArchive && html`<${IconButton} icon="archive" words=${t("act.archive")} act="archive" onClick=${() => perform("archive")} />`}
      <${IconButton} icon="trash-2" words=${t(isTrash || isJunk ? "act.destroy" : "act.trash")} act="trash" onClick=${() => perform("trash")} />
      <${IconButton} icon=${some((row) => row.unread) ? "mail-open" : "mail"} words=${t(some((row) => row.unread) ? "act.read" : "act.unread")} onClick=${() => perform(some((row) => row.unread) ? "read" : "unread")} />
      <${IconButton} icon="folder-input" words=${t("act.move")} act="move" onClick=${() => { dialog.value = { name: "move" }; }} />
      <${Menu} label=${t("more")} items=${[
        isJunk ? { words: t("act.notJunk"), icon: "inbox", run: () => perform("inbox") } : { words: t("act.junk"), icon: "shield-alert", run: () => perform("junk") },
        some((row) => row.flagged) ? { words: t("act.unstar"), icon: "star", run: () => perform("unstar") } : { words: t("act.star"), icon: "star", run: () => perform("star") },
        { words: t("act.label"), icon: "tag", run: () => { dialog.value = { name: "label" }; } },
      ]} />
    </div>`;
}

function Rows() {
  const scroller = useRef(), view = useRef();
  useLayoutEffect(() => { // rows are painted with the page around them
    const made = new ListWindow(scroller.current, (row) => rowNode(row, handlers, { isSelected, isOpen, isCurrent, place: place.value }));
    view.current = window_.value = made;
    Object.defineProperty(made, "shown", { value: null, writable: true });
    show();
    return () => { made.close(); window_.value = null; };
  }, []);
  const show = () => {
    const made = view.current, one = list.value;
    if (!made || !one) return;
    void one.version.value;
    made.rowHeight = HEIGHTS[settings.value.density] ?? HEIGHTS.comfortable;
    if (made.shown !== one) {
      made.shown = one;
      made.show(one, keptTop(one));
    } else {
      const anchor = "anchor" in one ? one.anchor : made.anchor();
      delete one.anchor;
      made.keep(anchor);
    }
    if (cursor.peek() === null && one.rows[0]) cursor.value = one.rows[0].id;
  };
  useSignalEffect(show);
  useSignalEffect(() => {
    void [selected.value, cursor.value, route.value];
    view.current?.restate(restate);
  });
  useActs(listKeys(view), []);
  void list.value.counted;
  const total = list.value.total ?? -1;
  return html`<div class="rows" ref=${scroller} role="grid" aria-labelledby="list-title" aria-rowcount=${total} aria-multiselectable="true" onMouseOver=${hovered} onMouseDown=${pressed}></div>`;
}

const isSelected = (id) => selected.value.has(id);
const isOpen = (row) => route.value.thread === row.thread_id;
const isCurrent = (row) => cursor.value === row.id;

function restate(node, row) {
  const [selects, isHere, opens] = [isSelected(row.id), isCurrent(row), isOpen(row)], state = [selects, isHere, opens].join();
  if (node.state === state) return;
  node.state = state;
  node.setAttribute("aria-selected", String(selects));
  node.querySelector(".tick")?.setAttribute("aria-checked", String(selects));
  node.tabIndex = isHere ? 0 : -1;
  node.classList.toggle("current", isHere);
  if (opens) node.setAttribute("aria-current", "true");
  else node.removeAttribute("aria-current");
}

const handlers = {
  open(row, event) {
    if (event.shiftKey) return select(row, { extend: true });
    if (event.ctrlKey || event.metaKey) return select(row);
    openRow(row);
  },
  select: (row, event) => select(row, { extend: event.shiftKey }),
  act: (what, row) => perform(what, {}, [row]),
};

const ahead = () => import("./ahead.js"); // not a module of the first screen
const readAhead = (row) => ahead().then((module) => module.readAhead(row));

const rowAt = (node) => list.value?.rows[list.value.places.get(node?.dataset.id)];

let hover = 0;
function hovered(event) {
  clearTimeout(hover);
  const node = event.target.closest?.(".row"), row = rowAt(node);
  node?.tools?.equip();
  if (row) hover = setTimeout(() => readAhead(row), HOVER_MS);
}

// A click opens the row: what it shows is asked for when the button goes down.
function pressed(event) {
  const row = event.button ? null : rowAt(event.target.closest?.(".main")?.parentElement);
  if (row) askFor(row);
}

function askFor(row) {
  prefetch(row.thread_id);
  ahead().then((module) => module.loadLast(row));
}

function listKeys(view) {
  const step = (by) => () => {
    if (route.value.thread) return openNeighbour(by);
    moveTo(cursorAt() + by);
    if (currentRow()) readAhead(currentRow());
  };
  const page = (by) => () => moveTo(cursorAt() + by * Math.max(1, view.current.count - 2));
  const extend = (by) => () => {
    const row = currentRow();
    if (row && !selected.value.has(row.id)) select(row);
    moveTo(cursorAt() + by);
    if (currentRow() && !selected.value.has(currentRow().id)) select(currentRow());
  };
  return {
    next: step(1), previous: step(-1), open: () => { if (currentRow()) askFor(currentRow()); openRow(currentRow()); }, first: () => moveTo(0), last: () => moveTo(list.value.total - 1),
    pageDown: page(1), pageUp: page(-1), select: () => currentRow() && select(currentRow()), extendDown: extend(1), extendUp: extend(-1),
    selectAll: () => selectWhere(() => true), selectNone, selectUnread: () => selectWhere((row) => row.unread), selectRead: () => selectWhere((row) => !row.unread),
    selectStarred: () => selectWhere((row) => row.flagged), selectUnstarred: () => selectWhere((row) => !row.flagged),
    archive: () => place.value.canArchive && perform("archive"), trash: () => perform("trash"), junk: () => perform(place.value.isJunk ? "inbox" : "junk"),
    star: () => perform(targets().every((row) => row.flagged) ? "unstar" : "star"),
    read: () => perform("read"), unread: () => perform("unread"), undo: () => import("../store/actions.js").then(({ undo }) => undo()),
    move: () => { dialog.value = { name: "move" }; }, label: () => { dialog.value = { name: "label" }; },
    archiveNext: () => place.value.canArchive && perform("archive", {}, undefined, { step: "next" }),
    archivePrevious: () => place.value.canArchive && perform("archive", {}, undefined, { step: "previous" }),
  };
}

// What stands where no rows do: nothing yet, nothing here, or why not.
function Message({ list: one }) {
  void one.counted;
  if (one.error.value && !one.rows.length) {
    return html`<div class="empty" role="alert"><${Icon} name="circle-alert" /><p>${t("list.failed", { why: one.error.value.message })}</p>
      <button type="button" onClick=${() => (one.query.kind === "search" ? go(withQuery({})) : refreshSoon())}>${t("again")}</button></div>`;
  }
  if (one.total !== 0) return null;
  const { kind, folder, filter } = one.query;
  const key = filter ? `none.${filter}` : kind === "folder" ? (folderOf(folder)?.role ? `none.${folder}` : "none.folder") : `none.${kind}`;
  return html`<div class="empty"><p>${t(key)}</p>${filter && html`<a class="button" href=${withQuery({ unread: "", starred: "" })}>${t("none.showAll")}</a>`}</div>`;
}

