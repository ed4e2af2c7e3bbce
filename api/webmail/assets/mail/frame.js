// The HTML of a mail in a document of its own: same origin, so that its height and keys are seen here,
// and without scripts, by the frame's sandbox and by the policy of the page.

import { html, useEffect, useRef } from "../vendor/preact.js";
import { t } from "../words.js";
import { handleKey } from "../keys.js";

const policy = globalThis.trustedTypes?.createPolicy("postriver", { createHTML: (text) => text });
const SHEET = new URL("../css/mail.css", import.meta.url).pathname;

export function MailFrame({ message, body }) {
  const frame = useRef();
  useEffect(() => {
    const node = frame.current;
    const source = `<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="${SHEET}"><body>${body.html}`;
    node.srcdoc = policy ? policy.createHTML(source) : source;
    let sizes;
    const loaded = () => {
      const inside = node.contentDocument;
      if (!inside) return;
      const fit = () => { node.style.height = `${Math.max(40, Math.ceil(inside.documentElement.getBoundingClientRect().height))}px`; };
      sizes = new ResizeObserver(fit);
      sizes.observe(inside.documentElement);
      fit();
      inside.addEventListener("keydown", handleKey);
      inside.addEventListener("click", followLink);
    };
    node.addEventListener("load", loaded);
    return () => { sizes?.disconnect(); node.removeEventListener("load", loaded); };
  }, [message.id, body.html]);
  return html`<iframe ref=${frame} class="mail" sandbox="allow-same-origin" title=${t("message.frame", { subject: message.subject })} referrerpolicy="no-referrer"></iframe>`;
}

// Links open in a tab of their own, and ask first where the text names another host.
function followLink(event) {
  const link = event.target.closest?.("a[href]");
  if (!link) return;
  event.preventDefault();
  const target = linkOf(link.getAttribute("href"));
  if (!target) return;
  const named = link.textContent.trim().match(/^(?:https?:\/\/)?([\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+)(?:[/:?#]|$)/u)?.[1]?.toLowerCase();
  const isOther = named && target.hostname && named.replace(/^www\./, "") !== target.hostname.replace(/^www\./, "");
  if (isOther && !confirm(t("link.other", { host: target.hostname, named }))) return;
  open(target.href, "_blank", "noopener,noreferrer");
}

export function linkOf(href) {
  try {
    const target = new URL(href);
    return ["http:", "https:", "mailto:", "tel:"].includes(target.protocol) ? target : null;
  } catch {
    return null;
  }
}
