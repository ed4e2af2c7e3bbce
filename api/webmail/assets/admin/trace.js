// Where a mail is: a timeline for each place, what it waited hatched and what was worked solid.

import { html, useId, useState } from "../vendor/preact.js";
import { fullDate, number, shortDate, t } from "../words.js";
import { go, route } from "../router.js";
import { Rows, Trouble, pathOf, useAnswer } from "./parts.js";

const WIDTH = 1000, HEIGHT = 22, LEAST = 6;

export function Trace() {
  const { name = "", recipient = "", around = "" } = route.value.query;
  const asked = Boolean(name || recipient), { answer, failure } = useAnswer(asked ? pathOf("/v1/admin/trace", { name, recipient, around }) : "");
  const [text, setText] = useState(name || recipient);
  const isAddress = text.includes("@") && !text.startsWith("<");
  const find = (event) => {
    event.preventDefault();
    const at = event.target.elements.around?.value, words = text.trim();
    go(pathOf("/admin/trace", isAddress && at ? { recipient: words, around: new Date(at).toISOString() } : { name: words }));
  };
  return html`<form class="bar" role="search" onSubmit=${find}>
      <input type="text" name="what" required maxlength="1000" aria-label=${t("admin.trace.what")} placeholder=${t("admin.trace.what")} value=${text} onInput=${(event) => setText(event.target.value)} />
      ${isAddress && html`<input type="datetime-local" name="around" aria-label=${t("admin.trace.around")} title=${t("admin.trace.around")} />`}
      <button type="submit" class="primary">${t("admin.trace.find")}</button></form>
    <${Trouble} failure=${failure} />
    ${answer && !failure && html`<${Rows} caption=${t("admin.trace.mails")} empty=${t("admin.trace.none")} rows=${answer.mails.map((row) => ({ id: row.mail_id, ...row }))} columns=${[
      ["admin.when", (row) => row.accepted_at && shortDate(row.accepted_at)], ["admin.mail", (row) => html`<a href=${`/admin/trace?name=${row.mail_id}`}><code>${row.mail_id}</code></a>`], ["admin.runs", (row) => row.states.join(", "), "long"]]} />
    ${answer.ends.map((end, at) => html`<section class="place-of-mail" key=${at} aria-label=${end.where}><h2>${end.address || t(`admin.trace.${ENDS.includes(end.state) ? end.state : "other"}`)}</h2><p>${end.where}</p>
      ${end.outcome && html`<p class="hint">${t("admin.trace.verdict", { outcome: end.outcome, score: end.spam_score })}</p>`}<${Timeline} hops=${end.hops} state=${end.state} /></section>`)}`}`;
}

const ENDS = ["submitted", "stored", "quarantined", "parked", "waiting", "passed"];

function Timeline({ hops, state }) {
  const id = useId().replaceAll(":", "");
  if (!hops.length) return null;
  const parts = hops.flatMap((hop) => [["wait", hop.waited_ms], ["work", hop.took_ms]]).filter(([kind, ms]) => ms > 0 || kind === "work");
  const all = parts.reduce((sum, [, ms]) => sum + ms, 0) || 1, room = WIDTH - 12 - parts.length * LEAST;
  let x = 0;
  const boxes = parts.map(([kind, ms]) => { const width = LEAST + (ms / all) * Math.max(0, room), box = html`<rect class=${kind} x=${x} y="3" width=${width} height=${HEIGHT - 6} fill=${kind === "wait" ? `url(#${id})` : undefined} />`; x += width; return box; });
  return html`<svg class="timeline" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <defs><pattern id=${id} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="stripe" width="2" height="6" /></pattern></defs>
      ${boxes}<path class=${`flag ${state}`} d=${`M${x + 1} ${HEIGHT} V1 L${x + 11} 6 L${x + 3} 11`} /></svg>
    <ol class="hops">${hops.map((hop, at) => html`<li key=${at}><strong>${hop.stage}</strong><time title=${fullDate(hop.started_at)}>${shortDate(hop.started_at)}</time>
      <span>${t("admin.trace.waited", { ms: hop.waited_ms })}</span><span>${t("admin.trace.worked", { ms: Math.round(hop.took_ms) })}</span>
      <bdi>${hop.verdict}</bdi>${hop.attempt > 1 && html`<span>${t("admin.trace.attempt", { nth: number(hop.attempt) })}</span>`}<span class="hint">${hop.worker}</span></li>`)}</ol>`;
}
