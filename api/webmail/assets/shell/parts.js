// Small parts that every screen uses: icons, buttons, menus, toasts.

import { html, useEffect, useId, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { t } from "../words.js";
import { keyOf } from "../keys.js";
import { announcement, closeToast, toasts } from "../store/state.js";

export const Icon = ({ name }) => html`<svg class="icon" aria-hidden="true"><use href=${`#icon-${name}`} /></svg>`;

const shown = (act) => { const key = keyOf(act); return key ? ` (${key})` : ""; };

// A button with an icon alone; `act` names its key for the tooltip.
export const IconButton = ({ icon, words, act = "", kind = "", ...rest }) =>
  html`<button type="button" class=${`icon-button ${kind}`} title=${words + shown(act)} aria-label=${words} ...${rest}><${Icon} name=${icon} /></button>`;

// A button that opens a menu beside it. `items`: { words, icon, run, href, key, kind, checked } or null for a line.
export function Menu({ label, icon = "ellipsis-vertical", items, children, kind = "icon-button" }) {
  const id = useId(), button = useRef(), menu = useRef();
  const [open, setOpen] = useState(false);
  useLayoutEffect(() => { // once its items are there, so that its height is known
    if (!open) return;
    const at = button.current.getBoundingClientRect(), box = menu.current.getBoundingClientRect();
    const below = at.bottom + box.height + 12 < innerHeight;
    menu.current.style.left = `${Math.max(8, Math.min(at.left, innerWidth - box.width - 8))}px`;
    menu.current.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - box.height - 4)}px`;
    menu.current.querySelector("[role^=menuitem]")?.focus();
  }, [open]);
  const close = () => menu.current?.hidePopover();
  return html`
    <button type="button" ref=${button} class=${kind} popovertarget=${id} aria-haspopup="menu" aria-expanded=${open} title=${label} aria-label=${label}>
      ${children ?? html`<${Icon} name=${icon} />`}
    </button>
    <div id=${id} ref=${menu} popover class="menu" role="menu" aria-label=${label} onToggle=${(event) => setOpen(event.newState === "open")} onKeyDown=${moveInMenu}>
      ${open && items.map((item) => (item ? html`<${Item} ...${item} close=${close} />` : html`<hr />`))}
    </div>`;
}

function Item({ words, icon, run, href, kind = "", checked, close, download }) {
  const inside = html`<${Icon} name=${checked ? "check" : icon ?? "minus"} /><span>${words}</span>`;
  const role = checked === undefined ? "menuitem" : "menuitemcheckbox";
  if (href) return html`<a role=${role} class=${kind} href=${href} download=${download} target=${/^https?:/.test(href) ? "_blank" : undefined} rel="noopener noreferrer" onClick=${close}>${inside}</a>`;
  return html`<button type="button" role=${role} aria-checked=${checked} class=${`${kind}${icon || checked ? "" : " plain"}`} onClick=${() => { close(); run(); }}>${inside}</button>`;
}

export function moveInMenu(event) {
  const items = [...event.currentTarget.querySelectorAll("[role^=menuitem]")], at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  items.at(to % items.length)?.focus();
}

// Sentences at the bottom: what was done, and its undo.
export function Toasts() {
  return html`<div class="toasts">
    ${toasts.value.map((one) => html`<div key=${one.id} class=${`toast ${one.kind}`} role=${one.kind === "error" ? "alert" : "status"}>
      <span>${one.text}</span>
      ${one.action && html`<button type="button" class="quiet" onClick=${() => { closeToast(one.id); one.action.run(); }}>${one.action.words}</button>`}
      <${IconButton} icon="x" words=${t("close")} onClick=${() => closeToast(one.id)} />
    </div>`)}
    <p class="unseen" role="status">${announcement.value}</p>
  </div>`;
}

// A modal dialog that is open while it is in the page. `onClose` takes it out: at once, since the event `close` of a
// dialog comes a frame later, and keys pressed until then would be lost.
export function Dialog({ title, onClose, children, kind = "" }) {
  const dialog = useRef(), id = useId();
  useLayoutEffect(() => {
    const before = document.activeElement, node = dialog.current;
    node.showModal();
    return () => {
      node.close(); // nothing else can have the focus while it is open
      if (before?.isConnected) before.focus();
    };
  }, []);
  const outside = (event) => { if (event.target === dialog.current) onClose(); };
  const canceled = (event) => { event.preventDefault(); onClose(); };
  const closed = () => { if (dialog.current) onClose(); }; // Chromium: a second Escape in a row has no `cancel`
  return html`<dialog ref=${dialog} class=${`dialog ${kind}`} aria-labelledby=${id} onCancel=${canceled} onClose=${closed} onMouseDown=${outside}>
    <div class="dialog-body">
      <header><h2 id=${id}>${title}</h2><${IconButton} icon="x" words=${t("close")} onClick=${onClose} /></header>
      ${children}
    </div>
  </dialog>`;
}

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", "#39": "'", "#x27": "'" };
const plain = (text) => text.replace(/&(#39|#x27|\w+);/g, (whole, name) => ENTITIES[name] ?? whole);

// The nodes of text in which the server marked matches by <mark>; all other markup stays text.
export function markedText(text) {
  return text.split(/(<mark>.*?<\/mark>)/s).filter(Boolean).map((part) => {
    const inside = part.match(/^<mark>(.*)<\/mark>$/s);
    if (!inside) return document.createTextNode(plain(part));
    const mark = document.createElement("mark");
    mark.textContent = plain(inside[1]);
    return mark;
  });
}
