// The HTML of a mail: a document of its own with its own policy, in a frame of the same origin, so that its
// height and keys are seen here, and without scripts, by its header as by the sandbox.

import { html, useEffect, useLayoutEffect, useRef } from "../vendor/preact.js";
import { t } from "../words.js";
import { handleKey } from "../keys.js";
import { settings } from "../store/state.js";
import { frameIn, isEmpty, isThere, viewOf } from "./frames.js";

const PRINT_WIDTH = "680px"; // A4 and Letter have some 720 px between their margins
const dark = matchMedia("(prefers-color-scheme: dark)");

// `onMissing`: called where the document cannot be read, as without the service.
export function MailFrame({ message, view, pictures, onMissing }) {
  const place = useRef(), frame = useRef(), { theme } = settings.value;
  // A mail without colours takes the theme; others stand on white paper.
  const paint = () => {
    const scheme = !view.own_colours && (theme === "dark" || (theme === "system" && dark.matches)) ? "dark" : "light";
    frame.current.style.colorScheme = scheme;
    if (isThere(frame.current)) frame.current.contentDocument.documentElement.style.colorScheme = scheme;
  };
  useLayoutEffect(() => { // at once: the document is asked for before the page around it is painted
    const node = frameIn(place.current, viewOf(message.id, { pictures }));
    let sizes;
    frame.current = node;
    node.classList.toggle("coloured", view.own_colours);
    node.title = t("message.frame", { subject: message.subject });
    const loaded = () => {
      const inside = node.contentDocument;
      if (!inside || isEmpty(node)) return onMissing();
      const fit = () => { node.style.height = `${Math.max(24, Math.ceil(inside.documentElement.getBoundingClientRect().height))}px`; };
      sizes = new ResizeObserver(fit);
      sizes.observe(inside.documentElement);
      paint();
      fit();
      inside.addEventListener("keydown", handleKey);
      inside.addEventListener("click", askFirst);
    };
    // On paper the frame has one width, at which its height is measured, so that nothing is cut off.
    const beforePrint = () => {
      const root = node.contentDocument?.documentElement;
      if (!root) return;
      root.style.colorScheme = "light";
      node.style.width = PRINT_WIDTH;
      node.style.height = `${Math.ceil(root.getBoundingClientRect().height)}px`;
    };
    const afterPrint = () => { node.style.width = ""; paint(); };
    addEventListener("beforeprint", beforePrint);
    addEventListener("afterprint", afterPrint);
    node.addEventListener("load", loaded);
    if (isThere(node)) loaded();
    return () => {
      sizes?.disconnect();
      node.remove();
      removeEventListener("beforeprint", beforePrint);
      removeEventListener("afterprint", afterPrint);
    };
  }, [message.id, pictures]);
  useEffect(() => {
    paint();
    dark.addEventListener("change", paint);
    return () => dark.removeEventListener("change", paint);
  }, [theme]);
  return html`<div ref=${place}></div>`;
}

// A link whose text names another host than it leads to is opened after a question only.
function askFirst(event) {
  const link = event.target.closest?.("a[href]");
  if (!link) return;
  const href = link.getAttribute("href"), target = linkOf(href);
  if (!target) {
    event.preventDefault();
    const name = href.startsWith("#") && href.slice(1), within = link.ownerDocument;
    if (name) (within.getElementById(name) ?? within.getElementsByName(name)[0])?.scrollIntoView();
    return undefined;
  }
  const named = link.textContent.trim().match(/^(?:https?:\/\/)?([\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+)(?:[/:?#]|$)/u)?.[1]?.toLowerCase();
  const isOther = named && target.hostname && named.replace(/^www\./, "") !== target.hostname.replace(/^www\./, "");
  if (isOther && !confirm(t("link.other", { host: target.hostname, named }))) event.preventDefault();
  return undefined;
}

export function linkOf(href) {
  try {
    const target = new URL(href);
    return ["http:", "https:", "mailto:", "tel:"].includes(target.protocol) ? target : null;
  } catch {
    return null;
  }
}
