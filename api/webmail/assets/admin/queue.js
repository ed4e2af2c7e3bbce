// Mail on its way to other servers, by domain and by recipient; and mail that did not arrive.

import { html, useState } from "../vendor/preact.js";
import { number, shortDate, t } from "../words.js";
import { toast } from "../store/state.js";
import { Act, Rows, Trouble, act, pathOf, sure, useAnswer } from "./parts.js";

const VERBS = ["retry", "hold", "release", "cancel", "bounce"], FINAL = ["cancel", "bounce"];

export function Queue() {
  const [domain, setDomain] = useState(""), domains = useAnswer("/v1/admin/queue", 30_000);
  const recipients = useAnswer(pathOf("/v1/admin/queue/recipients", { domain, limit: 100 }));
  const change = async (verb, selection) => {
    const answer = await act("POST", `/v1/admin/queue/${verb}`, selection);
    if (!answer) return;
    toast(t("admin.queue.changed", { n: answer.changed }));
    domains.read();
    recipients.read();
  };
  const ask = (verb, selection, what) => (FINAL.includes(verb) ? sure(t(`admin.queue.${verb}.title`, { what }), t(`admin.queue.${verb}.text`), t(`admin.queue.${verb}`), () => change(verb, selection)) : change(verb, selection));
  const verbs = (selection, what) => html`<span class="acts">${VERBS.map((verb) => html`<${Act} key=${verb} words=${t(`admin.queue.${verb}`)} kind=${FINAL.includes(verb) ? "quiet grave" : "quiet"} run=${() => ask(verb, selection, what)} />`)}</span>`;
  return html`<${Trouble} failure=${domains.failure || recipients.failure} />
    <h2>${t("admin.queue.domains")}</h2>
    <${Rows} caption=${t("admin.queue.domains")} empty=${t("admin.queue.none")} rows=${domains.answer?.domains.map((row) => ({ id: row.domain, ...row }))} columns=${[
      ["admin.domain", (row) => html`<button type="button" class="quiet" aria-pressed=${row.domain === domain} onClick=${() => setDomain(row.domain === domain ? "" : row.domain)}>${row.domain}</button>`],
      ["admin.queue.waiting", (row) => number(row.waiting), "number"], ["admin.queue.held", (row) => number(row.held), "number"], ["admin.queue.oldest", (row) => shortDate(row.oldest_at)],
      ["", (row) => verbs({ domain: row.domain }, row.domain)]]} />
    <h2>${domain ? t("admin.queue.of", { domain }) : t("admin.queue.recipients")}</h2>
    <${Rows} caption=${t("admin.queue.recipients")} empty=${t("admin.queue.none")} rows=${recipients.answer?.recipients.map((row) => ({ id: `${row.mail_id} ${row.address}`, ...row }))} columns=${[
      ["admin.recipient", (row) => html`<bdi>${row.address}</bdi>`], ["admin.runs", (row) => t(`admin.queue.state.${row.state}`)], ["admin.attempts", (row) => number(row.attempts), "number"],
      ["admin.next", (row) => row.next_attempt_at && shortDate(row.next_attempt_at)], ["admin.last", (row) => html`<bdi>${[row.code, row.detail].filter(Boolean).join(" ")}</bdi>`, "long"],
      ["admin.mail", (row) => html`<a href=${`/admin/trace?name=${row.mail_id}`}>${t("admin.trace")}</a>`], ["", (row) => verbs({ mail_ids: [row.mail_id], address: row.address }, row.address)]]} />
    ${recipients.answer?.more && html`<p class="hint">${t("admin.more")}</p>`}`;
}

export function Rejected() {
  const [after, setAfter] = useState(""), { answer, failure } = useAnswer(pathOf("/v1/admin/rejected", { after, limit: 200 }));
  return html`<${Trouble} failure=${failure} />
    <label class="field">${t("admin.rejected.after")}<input type="date" value=${after} onChange=${(event) => setAfter(event.target.value)} /></label>
    <${Rows} caption=${t("admin.rejected")} empty=${t("admin.rejected.none")} rows=${answer?.recipients.map((row) => ({ id: `${row.submission_id} ${row.address}`, ...row }))} columns=${[
      ["admin.when", (row) => shortDate(row.failed_at)], ["admin.sender", (row) => html`<bdi>${row.sender}</bdi>`], ["admin.recipient", (row) => html`<bdi>${row.address}</bdi>`],
      ["admin.last", (row) => html`<bdi>${row.code} ${row.detail} ${row.server}</bdi>`, "long"], ["admin.mail", (row) => html`<a href=${`/admin/trace?name=${row.submission_id}`}>${t("admin.trace")}</a>`]]} />`;
}
