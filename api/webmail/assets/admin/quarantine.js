// Mail that was accepted and must not be delivered: release it, or delete it.

import { html, useState } from "../vendor/preact.js";
import { shortDate, t } from "../words.js";
import { toast } from "../store/state.js";
import { Act, Rows, Trouble, act, pathOf, sure, useAnswer } from "./parts.js";

const CAUSES = ["", "infected", "spam", "unscannable"];

export function Quarantine() {
  const [cause, setCause] = useState(""), [cursors, setCursors] = useState([""]);
  const { answer, failure, read } = useAnswer(pathOf("/v1/admin/quarantine", { cause, cursor: cursors.at(-1) }));
  const change = async (row, verb, body) => {
    if (await act("POST", `/v1/admin/quarantine/${row.mail_id}/${verb}`, body)) {
      toast(t(`admin.quarantine.${verb}.done`));
      read();
    }
  };
  const release = (row) => {
    if (row.cause !== "infected") return change(row, "release", {});
    const again = () => sure(t("admin.quarantine.force.again"), t("admin.quarantine.force.text", { virus: row.detail }), t("admin.quarantine.release"), () => change(row, "release", { force: true }));
    return sure(t("admin.quarantine.force"), t("admin.quarantine.force.text", { virus: row.detail }), t("admin.quarantine.release"), () => setTimeout(again));
  };
  const remove = (row) => sure(t("admin.quarantine.delete.title"), t("admin.quarantine.delete.text"), t("admin.quarantine.delete"), () => change(row, "delete"));
  return html`<${Trouble} failure=${failure} />
    <label class="field">${t("admin.cause")}<select onChange=${(event) => { setCause(event.target.value); setCursors([""]); }}>${CAUSES.map((one) => html`<option key=${one} value=${one}>${t(`admin.cause.${one || "all"}`)}</option>`)}</select></label>
    <${Rows} caption=${t("admin.quarantine")} empty=${t("admin.quarantine.none")} rows=${answer?.mails.map((row) => ({ id: row.mail_id, ...row }))} columns=${[
      ["admin.when", (row) => shortDate(row.quarantined_at)], ["admin.cause", (row) => html`${t(`admin.cause.${row.cause}`)}<span class="hint">${row.detail}</span>`],
      ["admin.sender", (row) => html`<bdi>${row.from?.address || row.reverse_path || "<>"}</bdi>`], ["admin.recipient", (row) => html`<bdi>${row.recipients.join(", ")}</bdi>`],
      ["admin.subject", (row) => html`<bdi>${row.subject}</bdi>`, "long"],
      ["", (row) => html`<span class="acts">${row.released_at ? html`<span class="hint">${t("admin.quarantine.released", { who: row.released_by })}</span>` : html`<${Act} words=${t("admin.quarantine.release")} run=${() => release(row)} />`}
        <a href=${`/admin/trace?name=${row.mail_id}`}>${t("admin.trace")}</a><${Act} kind="quiet grave" words=${t("admin.quarantine.delete")} run=${() => remove(row)} /></span>`]]} />
    <p class="pages">${cursors.length > 1 && html`<button type="button" onClick=${() => setCursors(cursors.slice(0, -1))}>${t("admin.newer")}</button>`}
      ${answer?.next_cursor && html`<button type="button" onClick=${() => setCursors([...cursors, answer.next_cursor])}>${t("admin.older")}</button>`}</p>`;
}
