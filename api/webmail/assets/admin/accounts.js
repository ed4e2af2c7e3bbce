// Users, and the log of what operators did.

import { html, useState } from "../vendor/preact.js";
import { shortDate, size, t } from "../words.js";
import { me, toast } from "../store/state.js";
import { LimitFields, limitsOf } from "./limits.js";
import { Act, Rows, Trouble, act, sure, useAnswer, usePages } from "./parts.js";

const GB = 1024 ** 3;

const Made = ({ made }) => (made?.password ? html`<p class="made" role="status">${t("admin.users.made", { address: made.address })} <code>${made.password}</code></p>` : null);

export function Users() {
  const { answer, failure, read, pages } = usePages("/v1/admin/users"), [made, setMade] = useState(null), [open, setOpen] = useState("");
  const add = async (event) => {
    event.preventDefault();
    const form = event.target, user = await act("POST", "/v1/admin/users", { address: form.elements.address.value.trim() });
    if (!user) return;
    setMade(user);
    form.reset();
    read();
  };
  const change = async (row, body) => { if (await act("PATCH", `/v1/admin/users/${row.id}`, body)) { toast(t("admin.changed")); read(); } };
  const password = (row) => sure(t("admin.users.password.title", { address: row.address }), t("admin.users.password.text"), t("admin.users.password"), async () => setMade(await act("POST", `/v1/admin/users/${row.id}/password`)));
  const isOther = (row) => row.id !== me.value.id, other = (row) => (row.role === "operator" ? "user" : "operator");
  const role = (row) => sure(t(`admin.users.role.${other(row)}`), t("admin.users.role.text", { address: row.address }), t(`admin.users.role.${other(row)}`), () => change(row, { role: other(row) }));
  return html`<${Trouble} failure=${failure} /><form class="bar" onSubmit=${add}><input type="email" name="address" required maxlength="320" aria-label=${t("address")} placeholder=${t("address")} /><button type="submit" class="primary">${t("admin.users.add")}</button></form>
    <${Made} made=${made} />
    <${Rows} caption=${t("admin.users")} rows=${answer?.users} columns=${[
      ["address", (row) => html`<bdi>${row.address}</bdi>`], ["admin.users.role", (row) => t(`admin.role.${row.role}`)],
      ["admin.runs", (row) => t(row.disabled ? "admin.users.disabled" : row.has_password ? "admin.users.active" : "admin.users.noPassword")],
      ["", (row) => html`<span class="acts"><${Act} words=${t("admin.users.room")} run=${() => setOpen(open === row.id ? "" : row.id)} />${isOther(row) && html`<${Act} words=${t("admin.users.password")} run=${() => password(row)} />
        <${Act} words=${t(`admin.users.role.${other(row)}`)} run=${() => role(row)} /><${Act} kind="quiet grave" words=${t(row.disabled ? "admin.users.enable" : "admin.users.disable")} run=${() => change(row, { disabled: !row.disabled })} />`}</span>`]]} />
    ${open && html`<${UserLimits} key=${open} id=${open} />`}${pages}`;
}

function UserLimits({ id }) {
  const { answer, failure, read } = useAnswer(`/v1/admin/users/${id}`);
  if (!answer) return html`<${Trouble} failure=${failure} />`;
  const { quota, limits } = answer;
  const save = async (event) => {
    event.preventDefault();
    const { room, mails } = event.target.elements, value = (field, unit = 1) => (field.value === "" ? null : Math.round(field.value * unit));
    const body = { quota: { reset: true, bytes: value(room, GB), mails: value(mails) }, limits: limitsOf(event.target) };
    if (await act("PATCH", `/v1/admin/users/${id}`, body)) { toast(t("admin.changed")); read(); }
  };
  return html`<form class="identity" onSubmit=${save} aria-label=${answer.address}><p class="whole"><strong><bdi>${answer.address}</bdi></strong> ${t("admin.users.used", { size: size(quota.used_bytes), n: quota.used_mails })}</p>
    <label>${t("admin.users.bytes")}<input type="number" name="room" min="0" step="any" defaultValue=${quota.limit_bytes === null ? "" : quota.limit_bytes / GB} /></label>
    <label>${t("admin.users.mails")}<input type="number" name="mails" min="0" defaultValue=${quota.limit_mails ?? ""} /></label>
    <${LimitFields} limits=${limits} />
    <footer><p class="hint grow">${t("admin.users.limits.hint")}</p><button type="submit" class="primary">${t("save")}</button></footer></form>`;
}

export function Acts() {
  const { answer, failure, pages } = usePages("/v1/admin/acts");
  return html`<${Trouble} failure=${failure} /><p class="hint">${t("admin.acts.hint")}</p>
    <${Rows} caption=${t("admin.acts")} empty=${t("admin.acts.none")} rows=${answer?.acts} columns=${[
      ["admin.when", (row) => shortDate(row.at)], ["admin.acts.who", (row) => html`<bdi>${row.operator}</bdi><span class="hint">${row.peer}</span>`], ["admin.acts.what", (row) => html`<code>${row.verb}</code>`],
      ["admin.acts.target", (row) => html`<bdi>${row.target} ${row.detail}</bdi>`, "long"], ["admin.acts.outcome", (row) => row.outcome ?? t("admin.acts.unknown"), "long"]]} />${pages}`;
}
