// Scheduled: mail that is sent later, and what can be done with it until then.

import { html, useEffect, useSignal } from "../vendor/preact.js";
import { addSheet } from "../files.js";
import { alsoWords, fullDate, headDate, number, t } from "../words.js";
import { dialog, drawer, held, openComposer, toast } from "../store/state.js";
import { Icon, IconButton } from "../shell/parts.js";
import { readHeld } from "../store/held.js";

addSheet("scheduled");
await alsoWords("scheduled/");

export function Scheduled() {
  useEffect(() => readHeld(), []);
  const { rows, error } = held.value;
  return html`<main class="scheduled" aria-labelledby="scheduled-title">
    <header><${IconButton} icon="menu" words=${t("folders")} kind="narrow-only" onClick=${() => { drawer.value = true; }} />
      <h1 id="scheduled-title">${t("scheduled")}</h1><span class="total">${rows.length ? number(rows.length) : ""}</span></header>
    ${error && html`<p class="trouble" role="alert"><${Icon} name="circle-alert" />${t("list.failed", { why: error.message })} <button type="button" class="quiet" onClick=${readHeld}>${t("again")}</button></p>`}
    ${rows.length > 0 ? html`<ul>${rows.map((row) => html`<${Row} key=${row.id} row=${row} />`)}</ul>` : !error && html`<div class="empty"><p>${t("scheduled.none")}</p></div>`}
  </main>`;
}

function Row({ row }) {
  const busy = useSignal(false), id = `scheduled-${row.id}`;
  const once = (act) => async () => {
    if (busy.value) return;
    busy.value = true;
    try {
      await act();
    } finally {
      busy.value = false;
    }
  };
  const move = (at) => once(() => sendAt(row, at))();
  return html`<li aria-labelledby=${id}>
    <div class="mail"><h2 id=${id} dir="auto">${row.subject || t("no.subject")}</h2>
      <p class="people"><bdi>${t("row.to", { names: row.recipients.map((one) => one.address).join(", ") })}</bdi></p>
      <p class="when"><${Icon} name="clock" /><time datetime=${row.held_until} title=${fullDate(row.held_until)}>${headDate(row.held_until)}</time></p></div>
    <div class="acts">
      <button type="button" disabled=${busy.value} onClick=${once(() => edit(row))}>${t("scheduled.edit")}</button>
      <button type="button" disabled=${busy.value} onClick=${() => { dialog.value = { name: "time", at: row.held_until, verb: t("save"), run: move }; }}>${t("scheduled.move")}</button>
      <button type="button" disabled=${busy.value} onClick=${once(() => cancel(row))}>${t("scheduled.cancel")}</button>
    </div>
  </li>`;
}

// Takes the mail back; the id of its draft, null if it is too late.
async function taken(row) {
  const { takenBack } = await import("../compose/sending.js");
  const draftId = await takenBack(row.id);
  readHeld();
  return draftId;
}

// As above; the draft itself, once it has arrived.
async function returned(row) {
  const draftId = await taken(row);
  if (!draftId) return null;
  const { returnedDraft } = await import("../compose/draft.js");
  const draft = await returnedDraft(draftId);
  if (!draft) toast(t("scheduled.slow"), { kind: "error" });
  return draft;
}

async function edit(row) {
  const draft = await returned(row);
  if (draft) openComposer({ draft });
}

async function cancel(row) {
  const draftId = await taken(row);
  if (draftId) toast(t("scheduled.canceled"));
}

// Another time: the mail is taken back and sent again. If that fails, it is open as a draft.
async function sendAt(row, at) {
  const draft = await returned(row);
  if (!draft) return;
  const { sendDraft } = await import("../compose/sending.js");
  await sendDraft(draft, {}, { send_at: at.toISOString() });
}
