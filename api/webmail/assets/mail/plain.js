// Plain text of a mail: links found, quotes folded, the signature grey.

import { html, useSignal } from "../vendor/preact.js";
import { t } from "../words.js";

const LINK = /\b(https?:\/\/[^\s<>"]+[^\s<>"'.,;:!?)\]}])/g;
const LINES_MAX = 20_000;
const FOLD_FROM = 3; // lines of a quote that folds

export function PlainText({ text }) {
  return html`<div class="plain" dir="auto">${blocks(text).map((block) => (block.kind === "quote" && block.lines.length >= FOLD_FROM ? html`<${Quote} lines=${block.lines} />`
    : html`<div class=${block.kind}>${linked(block.lines.join("\n"))}</div>`))}</div>`;
}

function Quote({ lines }) {
  const open = useSignal(false);
  return html`<div><button type="button" class="quiet fold-quote" aria-expanded=${open.value} onClick=${() => { open.value = !open.value; }}>${t(open.value ? "quote.hide" : "quote.show", { n: lines.length })}</button>
    ${open.value && html`<blockquote>${linked(lines.map((line) => line.replace(/^> ?/, "")).join("\n"))}</blockquote>`}</div>`;
}

// Runs of lines of one kind: text, quote or signature (RFC 3676 §4.3).
function blocks(text) {
  const found = [];
  let isSignature = false;
  for (const line of text.replace(/\s+$/, "").split("\n").slice(0, LINES_MAX)) {
    isSignature ||= line === "-- ";
    const kind = isSignature ? "signature" : line.startsWith(">") ? "quote" : "text";
    if (found.at(-1)?.kind === kind) found.at(-1).lines.push(line);
    else found.push({ kind, lines: [line] });
  }
  return found;
}

function linked(text) {
  return text.split(LINK).map((part, index) => (index % 2 ? html`<a href=${part} target="_blank" rel="noopener noreferrer">${part}</a>` : part));
}
