// Events that could not be handled: by cause, opened, published again or given up.

import { html, useState } from "../vendor/preact.js";
import { number, shortDate, t } from "../words.js";
import { toast } from "../store/state.js";
import { Act, Rows, Trouble, act, pathOf, sure, useAnswer } from "./parts.js";

const PATH = "/v1/admin/dead-letters";

export function DeadLetters() {
  const [group, setGroup] = useState(null), [chosen, setChosen] = useState(new Set());
  const causes = useAnswer(`${PATH}/causes`), cause = group ? group.cause.split("…")[0] : "";
  const letters = useAnswer(pathOf(PATH, { stage: group?.stage, cause, limit: 200 }));
  const rows = letters.answer?.letters, ids = [...chosen];
  const done = async (verb, body) => {
    const answer = await act("POST", `${PATH}/${verb}`, body);
    if (!answer) return;
    const counts = Object.entries(Object.groupBy(answer.results, (row) => row.outcome)).map(([outcome, list]) => t("admin.letters.outcome", { outcome, n: list.length }));
    toast(counts.join(", ") || t("admin.letters.nothing"));
    if (body.dry_run) return;
    setChosen(new Set());
    causes.read();
    letters.read();
  };
  const choose = (id) => { const next = new Set(chosen); if (!next.delete(id)) next.add(id); setChosen(next); };
  const discard = (event) => {
    event.preventDefault();
    const reason = event.target.elements.reason.value.trim();
    sure(t("admin.letters.discard.title", { n: ids.length }), t("admin.letters.discard.text"), t("admin.letters.discard"), () => done("discard", { ids, reason }));
  };
  return html`<${Trouble} failure=${causes.failure || letters.failure} />
    <h2>${t("admin.letters.causes")}</h2>
    <${Rows} caption=${t("admin.letters.causes")} empty=${t("admin.letters.none")} rows=${causes.answer?.causes.map((row) => ({ id: `${row.stage} ${row.cause}`, ...row }))} columns=${[
      ["admin.stage", (row) => row.stage], ["admin.why", (row) => row.cause, "long"], ["admin.count", (row) => number(row.count), "number"],
      ["", (row) => html`<${Act} words=${t("admin.letters.show")} run=${() => { setGroup(row); setChosen(new Set()); }} />`]]} />
    <h2>${t("admin.letters.all")}</h2>
    ${group && html`<p><span class="chip">${group.stage}: ${group.cause}</span> <${Act} words=${t("admin.letters.every")} run=${() => setGroup(null)} /></p>`}
    <${Rows} caption=${t("admin.letters.all")} empty=${t("admin.letters.none")} rows=${rows} columns=${[
      ["admin.chosen", (row) => html`<input type="checkbox" aria-label=${t("admin.letters.choose", { id: row.id })} checked=${chosen.has(row.id)} onChange=${() => choose(row.id)} />`],
      ["admin.when", (row) => row.at && shortDate(row.at)], ["admin.stage", (row) => row.stage],
      ["admin.why", (row) => html`${row.cause}<details><summary>${row.id}</summary><dl class="facts"><dt>${t("admin.event")}</dt><dd><code>${row.event || "?"} ${row.topic}@${row.partition}-${row.offset}</code></dd>
        ${row.mail_id && html`<dt>${t("admin.mail")}</dt><dd><a href=${`/admin/trace?name=${row.mail_id}`}><code>${row.mail_id}</code></a></dd>`}${row.user_id && html`<dt>${t("admin.user")}</dt><dd><code>${row.user_id}</code></dd>`}</dl></details>`, "long"],
      ["admin.runs", (row) => (row.discarded_at ? t("admin.letters.discarded", { why: row.reason }) : row.redriven_at ? t("admin.letters.redriven") : t("admin.letters.waits"))]]} />
    <form class="bar" onSubmit=${discard}>
      <button type="button" disabled=${!ids.length} onClick=${() => done("redrive", { ids, dry_run: true })}>${t("admin.letters.try")}</button>
      <button type="button" class="primary" disabled=${!ids.length} onClick=${() => done("redrive", { ids })}>${t("admin.letters.redrive", { n: ids.length })}</button>
      <input type="text" name="reason" required maxlength="320" aria-label=${t("admin.letters.reason")} placeholder=${t("admin.letters.reason")} /><button type="submit" disabled=${!ids.length}>${t("admin.letters.discard")}</button></form>`;
}
