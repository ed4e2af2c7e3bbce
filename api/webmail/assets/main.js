// Starts the page: words, the first answers of the service, then the screen.

import { html, render } from "./vendor/preact.js";
import { loadWords, preferredLanguage } from "./words.js";
import { followRoute } from "./list/current.js";
import { begin, retry } from "./store/account.js";
import { session } from "./store/state.js";
import { App } from "./shell/app.js";

document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "system";
await loadWords(preferredLanguage());
render(html`<${App} line=${{ retry }} />`, document.getElementById("page"));
let follow = null;
session.subscribe((state) => {
  if (state === "in") follow ??= followRoute();
  else if (state === "out") follow = follow?.();
});
begin();
// What is opened by a key or a click should not wait for its module then.
session.subscribe((state) => { if (state === "in") setTimeout(() => [import("./mail/thread.js"), import("./shell/dialogs.js")], 300); });
