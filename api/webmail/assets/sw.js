// The service worker: the page and its files without the network, and the views of mails that were opened. The server
// puts in the version and the names of its files. Everything else goes to the network as if there were no worker.

const VERSION = "{{version}}";
const FILES = "{{files}}".split(" ");
const SHELL = `web ${VERSION}`;
const SHELLS_MAX = 2; // pages of the version before may be open still
const VIEWS_MAX = 500;
const WAIT_MS = 5000; // for the network, where there is a copy
const FRESH_MS = 300_000; // a view that was read ahead is shown without asking again
const LAST_SCREEN = "/last-screen"; // in the cache of mail
const SCREENS = new Set(["/", "/mail/inbox"]); // addresses of the first screen
const PLACE = '<div id="page"></div>';
const VIEW = /^\/v1\/messages\/[^/]+\/view$/;

addEventListener("install", (event) => event.waitUntil(install(event)));
addEventListener("activate", (event) => event.waitUntil(activate()));

async function install(event) {
  const page = await fetch("/", { cache: "no-cache" });
  if (!(await page.clone().text()).includes(`/web/${VERSION}/`)) throw new Error("The page is of another version.");
  const shell = await caches.open(SHELL);
  await shell.addAll(FILES.map((name) => `/web/${VERSION}/${name}`));
  await shell.put("/", page);
  await event.addRoutes?.([
    { condition: { urlPattern: new URLPattern({ pathname: "/v1/messages/:id/view" }) }, source: "fetch-event" },
    { condition: { urlPattern: new URLPattern({ pathname: "/v1/*" }) }, source: "network" },
  ]);
  await skipWaiting();
}

async function activate() {
  const shells = (await caches.keys()).filter((name) => name.startsWith("web ") && name !== SHELL); // oldest first
  await Promise.all(shells.slice(0, Math.max(0, shells.length + 1 - SHELLS_MAX)).map((name) => caches.delete(name)));
  await clients.claim();
}

addEventListener("fetch", (event) => {
  const { request } = event, { origin, pathname, search } = new URL(request.url);
  if (origin !== location.origin || request.method !== "GET") return;
  if (VIEW.test(pathname)) event.respondWith(view(event, pathname, search));
  else if (pathname.startsWith("/web/")) event.respondWith(file(request));
  else if (request.mode === "navigate" && !pathname.startsWith("/v1/")) event.respondWith(SCREENS.has(pathname + search) ? pageWithScreen(request) : page(request));
});

// Files never change under their address.
const file = async (request) => (await caches.match(request)) ?? fetch(request);

const page = (request) => networkFirst(request, async () => (await caches.open(SHELL)).match("/"));

// The page with the first screen as it was last (list/last-screen.js), until its scripts have run.
async function pageWithScreen(request) {
  const [answer, screen] = await Promise.all([page(request), lastScreen().catch(() => null)]);
  if (!screen || answer.status !== 200) return answer;
  const text = await answer.text(), headers = new Headers(answer.headers);
  for (const name of ["Content-Encoding", "Content-Length"]) headers.delete(name);
  const isSame = text.includes(`"/web/${screen.version}/`);
  return new Response(isSame ? text.replace(/<html[^>]*>/, () => screen.root).replace(PLACE, () => `${PLACE}<div id="last-screen" inert>${screen.screen}</div>`) : text, { headers });
}

const lastScreen = async () => (await (await mailCache())?.match(LAST_SCREEN))?.json();

// There is one while the user lets the page keep copies.
async function mailCache() {
  const name = (await caches.keys()).find((one) => one.startsWith("mail "));
  return name && caches.open(name);
}

// The network's answer; where there is none, or none in time, the copy.
async function networkFirst(request, copyOf) {
  const asked = fetch(request), copy = await copyOf();
  if (!copy) return asked;
  const late = new Promise((resolve) => { setTimeout(resolve, WAIT_MS, null); });
  const answer = await Promise.race([asked.catch(() => null), late]);
  return answer && answer.status < 500 ? answer : copy;
}

// A view keeps its headers, so its own policy too; one with remote images is not kept.
async function view(event, pathname, search) {
  const cache = await mailCache(), kept = await cache?.match(pathname);
  if (!search && kept && isFresh(kept)) return kept;
  const answer = await networkFirst(event.request, async () => kept).catch(() => null);
  if (answer?.status === 200 && cache && !search) event.waitUntil(keepView(cache, pathname, answer.clone()));
  return answer ?? new Response("", { status: 504, headers: { "Content-Type": "text/html; charset=utf-8" } });
}

// By the service's clock; where the device's differs from it, a copy is older than it is or not yet there, and is not fresh.
function isFresh(kept) {
  const age = Date.now() - Date.parse(kept.headers.get("Date"));
  return age >= -1000 && age < FRESH_MS; // Date has whole seconds
}

// A cache that was deleted meanwhile takes this without effect.
async function keepView(cache, pathname, answer) {
  await cache.delete(pathname);
  await cache.put(pathname, answer);
  const views = (await cache.keys()).filter(({ url }) => VIEW.test(new URL(url).pathname));
  await Promise.all(views.slice(0, Math.max(0, views.length - VIEWS_MAX)).map((one) => cache.delete(one)));
}
