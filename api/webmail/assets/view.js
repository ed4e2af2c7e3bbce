// What is on the screen. Text of a mail becomes text here, never markup; its html goes into a frame
// that has no scripts and no origin of ours.

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

function shortTime(at) {
  const then = new Date(at), now = new Date();
  if (then.toDateString() === now.toDateString()) return CLOCK.format(then);
  return (then.getFullYear() === now.getFullYear() ? DAY : YEAR).format(then);
}

export const nameOf = (from) => from.name || from.address || "Unknown sender";
export const subjectOf = (message) => message.subject || "(no subject)";
const fullName = (one) => (one.name ? `${one.name} <${one.address}>` : one.address || "unknown");

export function sizeOf(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / 1024 ** 2).toFixed(1)} MB`;
}

export function row(message, open) {
  const button = make("button", { class: message.unread ? "row unread" : "row", type: "button", onclick: open },
    make("span", { class: "mark", "aria-hidden": "true" }),
    make("span", { class: "from" },
      message.unread ? make("span", { class: "unseen" }, "Unread. ") : "", nameOf(message.from)),
    make("time", { datetime: message.received_at }, shortTime(message.received_at)),
    make("span", { class: "subject" }, message.flagged ? "★ " : "", subjectOf(message)),
    make("span", { class: "preview" }, 
      message.has_attachments ? make("span", { class: "clip" }, make("span", { class: "unseen" }, "With attachments. ")) : "",
      message.preview));
  return make("li", {}, button);
}

export function reader(message, actions) {
  const bodies = make("div", { class: "body-place", hidden: true });
  const article = [
    make("button", { class: "back", type: "button", onclick: actions.back }, "← Inbox"),
    make("h2", { tabindex: "-1" }, subjectOf(message)),
    envelope(message),
    buttons(message, actions),
    ...unchecked(message),
    ...attachments(message),
    bodies,
    life(message),
  ];
  return { article, place: bodies };
}

function envelope(message) {
  const list = make("dl", { class: "meta" });
  const add = (term, value) => { if (value) list.append(make("dt", {}, term), make("dd", {}, value)); };
  add("From", fullName(message.from));
  add("To", message.to.map(fullName).join(", "));
  add("Cc", message.cc.map(fullName).join(", "));
  add("Date", FULL.format(new Date(message.received_at)));
  return list;
}

function buttons(message, actions) {
  const bar = make("div", { class: "actions" },
    make("button", { type: "button", onclick: actions.unread }, "Mark as unread"),
    make("button", { type: "button", "aria-pressed": String(message.flagged), onclick: actions.flag },
      message.flagged ? "★ Flagged" : "☆ Flag"),
    make("button", { type: "button", onclick: actions.remove }, "Delete"), actions.choice);
  if (message.html !== null && message.text) {
    const other = actions.plain ? "Show formatted" : "Show plain text";
    bar.append(make("button", { type: "button", onclick: actions.toggle }, other));
  }
  bar.append(make("a", { href: `/v1/messages/${message.id}/raw`, download: "" }, "Save message"));
  return bar;
}

const UNCHECKED = {
  encrypted: "Something in this message is encrypted. No scanner could look into it.",
  parts: "The parts of this message could not be read. Its attachments are not offered.",
};

function unchecked(message) {
  return message.unchecked.map((what) => make("p", { class: "unchecked" }, UNCHECKED[what] || what));
}

function attachments(message) {
  if (!message.attachments.length) return [];
  const items = message.attachments.map((part) => make("li", {},
    make("a", { href: `/v1/messages/${message.id}/attachments/${part.n}`, download: "" },
      `${part.filename || `attachment ${part.n}`} · ${sizeOf(part.size_bytes)}`)));
  return [make("ul", { class: "attachments", "aria-label": "Attachments" }, ...items)];
}

export function body(message, plain) {
  if (message.html === null || (plain && message.text)) {
    return [make("pre", { class: "body", dir: "auto" }, message.text || "This message has no text.")];
  }
  const frame = make("iframe", {
    class: "body", title: "Formatted message", referrerpolicy: "no-referrer",
    sandbox: "allow-popups allow-popups-to-escape-sandbox",
  });
  frame.srcdoc = `<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/web/mail.css">${message.html}`;
  return [frame, make("p", { class: "hint" }, "Scripts, and pictures from other servers, are left out.")];
}

function life(message) {
  const grid = make("div", { class: "hops" });
  for (const hop of message.hops) {
    grid.append(make("span", {}, hop.stage), make("span", {}, `${Math.round(hop.took_ms)} ms`), make("span", {}, hop.verdict));
  }
  return make("details", {},
    make("summary", {}, `How it came here · spam score ${message.spam.score.toFixed(1)} · ${sizeOf(message.size_bytes)}`), grid);
}
