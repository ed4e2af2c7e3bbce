// A row of a list: made by hand, since this is what scrolling makes by the hundred.

import { t, shortDate, number } from "../words.js";
import { isMine, labels } from "../store/state.js";
import { markedText } from "../shell/parts.js";

const SPRITE = new URL("../vendor/icons.svg", import.meta.url).pathname;
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
  use.setAttribute("href", `${SPRITE}#${name}`);
  svg.append(use);
  return svg;
}

// `on`: functions open, select, star, act; `state`: isSelected(id), isOpen(row), isCurrent(row), place.
export function rowNode(row, on, state) {
  if (!row) return make("div", { class: "row waiting", role: "row", "aria-label": t("list.loading") }, make("div", { role: "gridcell" }));
  const isSelected = state.isSelected(row.id), name = peopleOf(row, state.place);
  const node = make("div", {
    class: `row${row.unread ? " unread" : ""}`, role: "row", tabindex: state.isCurrent(row) ? 0 : -1, "data-id": row.id,
    "aria-selected": String(isSelected), "aria-current": state.isOpen(row) ? "true" : null, "aria-label": sentence(row, name),
    onclick: (event) => on.open(row, event),
  });
  node.append(selectCell(row, on, isSelected), mainCell(row, name), toolsCell(row, on, state.place));
  return node;
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

// The star stays; the other buttons are there under the pointer, and keys do the same.
function toolsCell(row, on, place) {
  const tool = (part, name, words, run) => make("button", {
    type: "button", class: `tool ${part}`, tabindex: -1, "data-part": part, title: words, "aria-label": words,
    onclick: (event) => { event.stopPropagation(); run(); },
  }, icon(name));
  const star = tool("star", "star", t(row.flagged ? "act.unstar" : "act.star"), () => on.act(row.flagged ? "unstar" : "star", row));
  star.setAttribute("aria-pressed", String(row.flagged));
  const archive = place.canArchive ? tool("archive", "archive", t("act.archive"), () => on.act("archive", row)) : null;
  return make("div", { role: "gridcell", class: "tools" }, archive,
    tool("trash", "trash-2", t("act.trash"), () => on.act("trash", row)),
    tool("read", row.unread ? "mail-open" : "mail", t(row.unread ? "act.read" : "act.unread"), () => on.act(row.unread ? "read" : "unread", row)), star);
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

export function nameOf(person, short = false) {
  const name = person?.name || person?.address || t("no.sender");
  return short && /^[\p{L}'-]+ /u.test(name) ? name.split(" ")[0] : name;
}

function sentence(row, name) {
  const who = name.map((part) => part.textContent ?? part).join("");
  return [row.unread ? t("row.unread") : "", row.flagged ? t("row.starred") : "", who, row.subject || t("no.subject"), shortDate(row.received_at)].filter(Boolean).join(", ");
}
