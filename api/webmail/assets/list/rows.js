// The rows on screen: their nodes, made by hand, since scrolling makes them by the hundred; and the window of those that
// are in the document. Nodes belong to rows, not to places: the focus stays on its row when mail comes in above it.

import { t, shortDate, number } from "../words.js";
import { isMine, labels, nameOf } from "../store/state.js";
import { markedText } from "../shell/parts.js";

const EXTRA = 8; // rows beyond the window on each side
const FLING_MS = 100; // between places that are far from each other
const FLOWN_MS = 34; // that a place is drawn before it is read: two frames
const HEIGHT_MAX_PX = 16_000_000; // Firefox lays out no more than 17.9 million

// A list of rows of one height, of which only those in view (and some more) are in the document.
export class ListWindow {
  #scroller; #canvas; #make; #list = null; #nodes = new Map(); #height = 76; #frame = 0; #reading = 0;
  #drawnTop = 0; // at the last drawing
  #farAt = -Infinity; // when a place that is far from the last one was drawn
  #top = 0; #view = 0; // of the scroller: asking it after a change of the document makes the browser lay out all at once
  onWindow = () => {};

  // `make(row, position)` returns the node of a row; a row of `undefined` was not read yet.
  constructor(scroller, make) {
    this.#scroller = scroller;
    this.#make = make;
    this.#canvas = document.createElement("div");
    this.#canvas.className = "canvas";
    this.#canvas.setAttribute("role", "rowgroup");
    scroller.append(this.#canvas);
    scroller.addEventListener("scroll", () => { this.#top = scroller.scrollTop; this.#soon(); }, { passive: true });
    this.sizes = new ResizeObserver(() => { this.#view = scroller.clientHeight; this.#soon(); });
    this.sizes.observe(scroller);
    this.#view = scroller.clientHeight;
  }

  close() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#reading);
    this.#canvas.remove();
  }

  show(list, scrollTop = 0) {
    this.#list = list;
    this.#nodes.forEach((node) => node.remove());
    this.#nodes.clear();
    this.#size();
    this.#scrollTo(scrollTop);
    this.draw(0); // the rows in view alone: the others come with the next drawing
  }

  set rowHeight(px) {
    if (px === this.#height) return;
    const top = this.#top / this.#height;
    this.#height = px;
    this.#size();
    this.#scrollTo(top * px);
    this.redraw();
  }

  get first() { return Math.max(0, Math.floor(this.#top / this.#height)); }
  get top() { return this.#top; }
  get count() { return Math.ceil(this.#view / this.#height) + 1; }
  get total() { return Math.min(this.#list?.total ?? 0, Math.floor(HEIGHT_MAX_PX / this.#height)); }

  // The row at the top of the window and how far it is scrolled out: to keep it in place over a change.
  anchor() {
    const at = this.first;
    return this.#top ? { id: this.#list?.rows[at]?.id, offset: this.#top - at * this.#height } : null;
  }

  keep(anchor) {
    const at = anchor ? this.#list.places.get(anchor.id) : undefined;
    this.#size();
    if (at !== undefined) this.#scrollTo(at * this.#height + anchor.offset);
    this.draw();
  }

  // Calls `restate(node, row)` for each row that is drawn: selection or focus have changed.
  restate(restate) { this.#nodes.forEach((node) => node.row && restate(node, node.row)); }

  // Makes all nodes again: their words or the time of day have changed.
  redraw() {
    this.#nodes.forEach((node) => { node.row = null; });
    this.draw();
  }

  #size() { this.#canvas.style.height = `${this.total * this.#height}px`; }

  #scrollTo(px) {
    if (px === this.#top) return;
    this.#scroller.scrollTop = px;
    this.#top = this.#scroller.scrollTop; // within what there is
  }

  #soon() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.draw(); });
  }

  // Of a place that is far from the last one the rows in view alone are drawn: it may be flown over.
  draw(extra = EXTRA) {
    if (!this.#list) return;
    const isFar = Math.abs(this.#top - this.#drawnTop) > this.#view, more = isFar ? 0 : extra;
    this.#drawnTop = this.#top;
    const from = Math.max(0, this.first - more), to = Math.min(this.total, this.first + this.count + more);
    const kept = new Set(), free = [...this.#nodes].filter(([, node]) => node.isWaiting && (node.at < from || node.at >= to));
    for (let at = from; at < to; at += 1) kept.add(this.#place(at, free));
    for (const [key, node] of this.#nodes) {
      if (kept.has(key)) continue;
      if (node.contains(document.activeElement) && this.#list.places.has(key)) {
        this.#move(node, this.#list.places.get(key));
        continue;
      }
      node.remove();
      this.#nodes.delete(key);
    }
    this.onWindow(from, to);
    this.#read(from, to, isFar);
  }

  // A place that is jumped to is read at once, those that are flown over are not.
  #read(from, to, isFar) {
    clearTimeout(this.#reading);
    const list = this.#list, now = list.total === null, at = performance.now();
    if (isFar && at - this.#farAt > FLING_MS) list.want(from, to);
    if (isFar) this.#farAt = at;
    this.#reading = setTimeout(() => {
      list.want(from, Math.max(from, to));
      if (isFar) this.draw();
    }, now ? 0 : FLOWN_MS);
  }

  // `free`: keys and nodes of rows that were not read and are out of view.
  #place(at, free) {
    const row = this.#list.rows[at], key = row?.id ?? `place ${at}`;
    let node = this.#nodes.get(key);
    if (!node && !row && free.length) {
      const [former, moved] = free.pop();
      this.#nodes.delete(former);
      this.#nodes.set(key, node = moved);
    } else if (!node) {
      node = Object.assign(this.#make(row, at), { row, isWaiting: !row });
      this.#canvas.append(node);
      this.#nodes.set(key, node);
    } else if (node.row !== row) {
      this.#renew(node, this.#make(row, at));
      node.row = row;
    }
    this.#move(node, at);
    return key;
  }

  #move(node, at) {
    if (node.at === at && node.height === this.#height) return;
    Object.assign(node, { at, height: this.#height });
    node.style.top = `${at * this.#height}px`;
    node.setAttribute("aria-rowindex", at + 1);
  }

  // The node of a row stays, and so does the focus: giving it makes the browser lay out the page at once. What is in it is new.
  #renew(node, fresh) {
    const { part } = node.contains(document.activeElement) ? document.activeElement.dataset : {};
    if (node.tools?.childElementCount > 1) fresh.tools.equip();
    fresh.classList.toggle("current", node.classList.contains("current"));
    for (const { name, value } of fresh.attributes) if (node.getAttribute(name) !== value) node.setAttribute(name, value);
    if (!fresh.hasAttribute("aria-current")) node.removeAttribute("aria-current");
    node.replaceChildren(...fresh.childNodes);
    node.tools = fresh.tools;
    if (part) (node.querySelector(`[data-part="${part}"]`) ?? node).focus({ preventScroll: true });
  }

  focus(id) { this.#nodes.get(id)?.focus({ preventScroll: true }); }

  // Scrolls so that the row at `at` is seen whole, with half a row above and below.
  reveal(at) {
    const top = at * this.#height, margin = this.#height / 2;
    if (top - margin < this.#top) this.#scrollTo(Math.max(0, top - margin));
    else if (top + this.#height + margin > this.#top + this.#view) this.#scrollTo(top + this.#height + margin - this.#view);
    this.draw();
  }
}

// --- the node of a row ---

const SVG = "http://www.w3.org/2000/svg";

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg"), use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

// `on`: functions open, select, star, act; `state`: isSelected(id), isOpen(row), isCurrent(row), place.
export function rowNode(row, on, state) {
  if (!row) return make("div", { class: "row waiting", role: "row", "aria-label": t("list.loading") }, make("div", { role: "gridcell" }));
  const isSelected = state.isSelected(row.id), name = peopleOf(row, state.place);
  const tools = toolsCell(row, on, state.place);
  const node = make("div", {
    class: `row${row.unread ? " unread" : ""}`, role: "row", tabindex: state.isCurrent(row) ? 0 : -1, "data-id": row.id,
    "aria-selected": String(isSelected), "aria-current": state.isOpen(row) ? "true" : null, "aria-label": sentence(row, name),
    onclick: (event) => on.open(node.row, event),
  });
  node.append(selectCell(row, on, isSelected), mainCell(row, name), tools);
  return Object.assign(node, { tools });
}

function selectCell(row, on, isSelected) {
  const box = make("button", {
    type: "button", class: "tick", role: "checkbox", "aria-checked": String(isSelected), tabindex: -1, "data-part": "tick", "aria-label": t("row.select"),
    onclick: (event) => { event.stopPropagation(); on.select(row, event); },
  }, icon("check"));
  return make("div", { role: "gridcell", class: "mark" }, make("span", { class: "dot" }), box);
}

function mainCell(row, name) {
  const people = make("span", { class: "people" });
  people.append(...name);
  const top = make("div", { class: "line top" }, people, row.count > 1 ? make("span", { class: "count" }, number(row.count)) : null,
    make("span", { class: "grow" }), row.has_attachments ? icon("paperclip") : null, make("time", { datetime: row.received_at }, shortDate(row.received_at)));
  const subject = make("span", { class: "subject", dir: "auto" });
  subject.append(...(row.highlights?.subject ? markedText(row.highlights.subject) : [row.subject || t("no.subject")]));
  const middle = make("div", { class: "line middle" }, ...chips(row), subject);
  const preview = make("div", { class: "line preview", dir: "auto" });
  preview.append(...(row.highlights?.preview ? markedText(row.highlights.preview) : [row.preview || " "]));
  return make("div", { role: "gridcell", class: "main" }, top, middle, preview);
}

function chips(row) {
  const known = new Map(labels.value.map((label) => [label.keyword, label]));
  const draft = row.has_draft ? [make("span", { class: "chip draft" }, t("row.draft"))] : [];
  return [...draft, ...row.keywords.filter((keyword) => known.has(keyword)).slice(0, 3)
    .map((keyword) => make("span", { class: "chip", "data-colour": known.get(keyword).colour }, known.get(keyword).name))];
}

// The star stays; the other buttons are there under the pointer, and keys do the same. `equip` of the cell makes them.
function toolsCell(row, on, place) {
  const tool = (part, name, words, run) => make("button", {
    type: "button", class: `tool ${part}`, tabindex: -1, "data-part": part, title: words, "aria-label": words,
    onclick: (event) => { event.stopPropagation(); run(); },
  }, icon(name));
  const star = tool("star", "star", t(row.flagged ? "act.unstar" : "act.star"), () => on.act(row.flagged ? "unstar" : "star", row));
  star.setAttribute("aria-pressed", String(row.flagged));
  const cell = make("div", { role: "gridcell", class: "tools" }, star);
  cell.equip = () => {
    if (cell.childElementCount > 1) return;
    cell.prepend(...(place.canArchive ? [tool("archive", "archive", t("act.archive"), () => on.act("archive", row))] : []),
      tool("trash", "trash-2", t("act.trash"), () => on.act("trash", row)),
      tool("read", row.unread ? "mail-open" : "mail", t(row.unread ? "act.read" : "act.unread"), () => on.act(row.unread ? "read" : "unread", row)));
  };
  return cell;
}

// Names of the people in a row as nodes; those with unread messages are strong.
function peopleOf(row, place) {
  if (place.showsRecipients && row.to) {
    const names = row.to.map((person) => person.name || person.address).join(", ");
    return [t("row.to", { names: names || t("no.recipients") })];
  }
  const people = row.people.length ? row.people : [{ name: "", address: "" }];
  return people.flatMap((person, index) => {
    const words = isMine(person.address) ? t("me") : nameOf(person, people.length > 1);
    const node = make("bdi", { class: person.unread ? "strong" : null }, words);
    return index ? [", ", node] : [node];
  });
}

function sentence(row, name) {
  const who = name.map((part) => part.textContent ?? part).join("");
  return [row.unread ? t("row.unread") : "", row.flagged ? t("row.starred") : "", who, row.subject || t("no.subject"), shortDate(row.received_at)].filter(Boolean).join(", ");
}
