// Pages for operators: health, mail on its way, mail that stopped, users and domains. Loaded for operators only.

import { html } from "../vendor/preact.js";
import { addSheet } from "../files.js";
import { alsoWords, t } from "../words.js";
import { go, route } from "../router.js";
import { me } from "../store/state.js";
import { IconButton } from "../shell/parts.js";
import { Confirmation } from "./parts.js";
import { Health } from "./health.js";
import { Queue, Rejected } from "./queue.js";
import { Quarantine } from "./quarantine.js";
import { DeadLetters } from "./dead-letters.js";
import { Trace } from "./trace.js";
import { Acts, Users } from "./accounts.js";
import { Domains } from "./domains.js";

["settings", "admin"].forEach(addSheet);
await alsoWords("admin/");

const TABS = { health: Health, queue: Queue, rejected: Rejected, quarantine: Quarantine, letters: DeadLetters, trace: Trace, users: Users, domains: Domains, acts: Acts };

export function Admin() {
  const tab = TABS[route.value.tab] ? route.value.tab : "health", Tab = TABS[tab];
  if (!me.value?.roles.includes("operator")) return html`<main class="settings"><h1>${t("admin")}</h1><p>${t("admin.forbidden")}</p></main>`;
  return html`<main class="settings admin" aria-labelledby="admin-title">
    <header><${IconButton} icon="arrow-left" words=${t("back")} onClick=${() => go("/mail/inbox")} /><h1 id="admin-title">${t("admin")}</h1></header>
    <nav aria-label=${t("admin")}>${Object.keys(TABS).map((name) => html`<a key=${name} href=${`/admin/${name}`} aria-current=${name === tab ? "page" : undefined}>${t(`admin.${name}`)}</a>`)}</nav>
    <div class="tab"><${Tab} key=${tab} /></div>
    <${Confirmation} />
  </main>`;
}
