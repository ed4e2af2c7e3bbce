// The first screen as it is, kept as HTML on this device: the service worker puts it into the page at the next start, so
// that it is shown before a script has run. It is inert, and gone when the page itself is there (shell/app.js).

import { effect, untracked } from "../vendor/preact.js";
import { VERSION } from "../files.js";
import { LAST_SCREEN, firstOf, later } from "../store/copies.js";
import { t } from "../words.js";
import { calm, folders, session, settings } from "../store/state.js";
import { make, rowNode } from "./rows.js";
import { isWholeInbox, list, place, selected } from "./current.js";

const OVER_THE_PAGE = ".banner, .shade, .composers, .toasts, dialog";

let cache = null, stop = null;
export function followScreen(mailCache) {
  if (!document.body.getHTML) return; // a browser of before 2024
  cache = mailCache;
  stop ??= effect(() => {
    void [list.value?.version.value, selected.value, folders.value, settings.value];
    untracked(() => later("screen", "inbox", () => calm().then(keepScreen)));
  });
}

async function keepScreen() {
  const one = list.value, page = document.querySelector("#page > .page:has(.canvas)");
  if (!page || session.value !== "in" || !isWholeInbox(one?.query) || one.total === null || selected.value.size) return;
  const record = { version: VERSION, root: htmlOf(document.documentElement.cloneNode()).replace("</html>", ""), screen: htmlOf(screenOf(page, one)) };
  await cache.put(LAST_SCREEN, new Response(JSON.stringify(record))); // without effect on a cache that was deleted
}

const htmlOf = (node) => make("div", {}, node).getHTML();

// The page without what is open in it, and without styles of its own, which its policy refuses: rows follow each other.
function screenOf(page, one) {
  const copy = page.cloneNode();
  Object.assign(copy.dataset, { reading: false, drawer: false });
  copy.append(...[...page.children].filter((part) => !part.matches(OVER_THE_PAGE)).map((part) => copyOf(part, one)));
  const line = copy.querySelector(".connection");
  line.dataset.state = "connecting";
  line.lastElementChild.textContent = t("line.connecting");
  for (const node of copy.querySelectorAll("[popover]")) node.remove();
  for (const node of copy.querySelectorAll("[style]")) node.removeAttribute("style");
  return copy;
}

function copyOf(part, one) {
  const isWhole = !part.matches(".reader, .list-pane, .rows, .canvas"), copy = part.cloneNode(isWhole);
  if (part.matches(".list-pane, .rows")) copy.append(...[...part.children].map((child) => copyOf(child, one)));
  if (part.matches(".canvas")) copy.append(...rowsOf(one));
  return copy;
}

// The nodes of the first rows, as many as may be in view; none is selected or open.
function rowsOf({ rows }) {
  const count = Math.ceil(innerHeight / (document.querySelector(".canvas > .row")?.height ?? innerHeight));
  const state = { isSelected: () => false, isOpen: () => false, isCurrent: () => false, place: place.value };
  return firstOf(rows, count).map((row) => rowNode(row, {}, state));
}
