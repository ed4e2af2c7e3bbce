// What became of a sent mail: a line for each recipient, kept up by the socket.

import { html, useEffect, useSignal } from "../vendor/preact.js";
import { t, headDate } from "../words.js";
import { ask } from "../wire.js";
import { submissions } from "../store/account.js";
import { Icon } from "../shell/parts.js";

const ICONS = { pending: "clock", deferred: "clock", delivered: "circle-check", relayed: "circle-check", failed: "circle-alert", canceled: "ban" };

// A submission has the id of its mail. Mail that came by another way has none.
export function Delivery({ message }) {
  const found = useSignal(null), heard = submissions.value[message.mail_id]?.version;
  useEffect(() => { ask("GET", `/v1/submissions/${message.mail_id}`).then((answer) => { found.value = answer; }, () => {}); }, [message.mail_id, heard]);
  if (!found.value) return null;
  const { recipients, status, held_until: until } = found.value;
  return html`<section class="delivery" aria-label=${t("delivery")}>
    ${status === "held" && html`<p><${Icon} name="clock" />${t("delivery.held", { at: headDate(until) })}</p>`}
    <ul>${recipients.map((one) => html`<li key=${one.address} data-status=${one.status}><${Icon} name=${ICONS[one.status] ?? "info"} /><bdi>${one.address}</bdi>
      <span>${one.status === "deferred" && one.next_attempt_at ? t("delivery.again", { at: headDate(one.next_attempt_at) }) : t(`delivery.${one.status}`)}</span>${one.detail && ["failed", "deferred"].includes(one.status) && html`<span class="hint">${one.detail}</span>`}</li>`)}</ul>
  </section>`;
}
