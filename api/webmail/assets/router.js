// The addresses of the page: what stands in one, and going to another.

import { signal } from "./vendor/preact.js";

const ID = "[0-9A-Za-z-]+";
const TABLE = [
  [/^\/mail\/scheduled$/, () => ({ name: "scheduled" })],
  [new RegExp(`^/mail/label/([^/]+)(?:/(${ID}))?(?:/(${ID}))?$`), (m) => ({ name: "mail", kind: "label", folder: decodeURIComponent(m[1]), thread: m[2], message: m[3] })],
  [new RegExp(`^/mail/(${ID})(?:/(${ID}))?(?:/(${ID}))?$`), (m) => ({ name: "mail", kind: ["all", "starred"].includes(m[1]) ? m[1] : "folder", folder: m[1], thread: m[2], message: m[3] })],
  [new RegExp(`^/search(?:/(${ID}))?(?:/(${ID}))?$`), (m) => ({ name: "mail", kind: "search", folder: "", thread: m[1], message: m[2] })],
  [/^\/settings(?:\/([a-z]+))?$/, (m) => ({ name: "settings", tab: m[1] ?? "general" })],
  [/^\/admin(?:\/([a-z-]+))?$/, (m) => ({ name: "admin", tab: m[1] ?? "health" })],
  [new RegExp(`^/compose(?:/(${ID}))?$`), (m) => ({ name: "compose", draft: m[1] })],
];

export const route = signal(read());

function read() {
  const query = Object.fromEntries(new URLSearchParams(location.search));
  for (const [pattern, make] of TABLE) {
    const match = location.pathname.match(pattern);
    if (match) return { ...make(match), query };
  }
  return { name: "mail", kind: "folder", folder: "inbox", query: {} };
}

// Goes to an address of the page. With `replace` the present one is not in the history.
export function go(path, { replace = false } = {}) {
  if (path === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"]({ inside: true }, "", path);
  route.value = read();
}

// The address of a list: of `at`, or of the present one without what is open in it.
export function listPath(at = route.value) {
  const query = new URLSearchParams(at.query).toString();
  const tail = query ? `?${query}` : "";
  if (at.kind === "search") return `/search${tail}`;
  if (at.kind === "label") return `/mail/label/${encodeURIComponent(at.folder)}${tail}`;
  return `/mail/${at.folder ?? "inbox"}${tail}`;
}

// The address of a conversation in the present list, at `message` of it.
export function threadPath(thread, message = "") {
  const [path, query] = listPath().split("?");
  return `${path}/${thread}${message && `/${message}`}${query ? `?${query}` : ""}`;
}

// The same list with other values in the query; an empty value leaves it out.
export function withQuery(values, at = route.value) {
  const query = Object.fromEntries(Object.entries({ ...at.query, ...values }).filter(([, value]) => value));
  return listPath({ ...at, query });
}

addEventListener("popstate", () => { route.value = read(); });

// Links of the page change the address without a load; others, and those with a modifier, are the browser's.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.hasAttribute("download") || link.pathname.startsWith("/v1/") || link.pathname.startsWith("/web/")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
