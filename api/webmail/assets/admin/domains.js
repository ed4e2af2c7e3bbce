// Domains: limits of sending of their users, keys that sign their mail, DNS records.

import { html, useState } from "../vendor/preact.js";
import { t } from "../words.js";
import { toast } from "../store/state.js";
import { LimitFields, limitsOf } from "./limits.js";
import { Act, Rows, Trouble, act, pathOf, sure, useAnswer, usePages } from "./parts.js";

const PATH = "/v1/admin/domains";

export function Domains() {
  const { answer, failure, read, pages } = usePages(PATH), [open, setOpen] = useState({}), { name: opened, Part } = open;
  const add = async (event) => {
    event.preventDefault();
    const form = event.target, made = await act("POST", PATH, { name: form.elements.name.value.trim() });
    if (!made) return;
    form.reset();
    setOpen({ name: made.name, Part: Records });
    read();
  };
  const part = (row, Wanted, words) => html`<${Act} words=${t(words)} run=${() => setOpen(opened === row.name && Part === Wanted ? {} : { name: row.name, Part: Wanted })} />`;
  return html`<${Trouble} failure=${failure} /><form class="bar" onSubmit=${add}><input type="text" name="name" required maxlength="253" aria-label=${t("admin.domain")} placeholder="example.org" /><button type="submit" class="primary">${t("admin.domains.add")}</button></form>
    <${Rows} caption=${t("admin.domains")} rows=${answer?.domains.map((row) => ({ id: row.name, ...row }))} columns=${[
      ["admin.domain", (row) => row.name], ["admin.domains.catchAll", (row) => row.catch_all ?? t("admin.domains.refused")],
      ["", (row) => html`<span class="acts">${part(row, Records, "admin.domains.records")}${part(row, Keys, "admin.domains.keys")}${part(row, Limits, "admin.domains.limits")}</span>`]]} />
    ${Part && html`<${Part} key=${opened} domain=${opened} />`}${pages}`;
}

function Records({ domain }) {
  const [check, setCheck] = useState(""), { answer, failure } = useAnswer(pathOf(`${PATH}/${domain}/records`, { check }));
  return html`<h2>${t("admin.domains.of", { domain })}</h2><${Trouble} failure=${failure} />
    <${Rows} caption=${t("admin.domains.records")} rows=${answer?.records.map((row) => ({ id: row.zone_line, ...row }))} columns=${[
      ["admin.domains.purpose", (row) => row.purpose, "long"], ["admin.domains.line", (row) => html`<code class="line">${row.zone_line}</code>`, "long"],
      ...(check ? [["admin.domains.check", (row) => (row.fault ? html`<span class="outcome failure">${row.fault}</span>` : html`<span class="outcome success">${t("admin.domains.found")}</span>`)]] : [])]} />
    <p class="pages"><button type="button" onClick=${() => setCheck("true")}>${t("admin.domains.check")}</button></p>`;
}

// New keys first wait until their records are in DNS.
function Keys({ domain }) {
  const { answer, failure, read } = useAnswer(`${PATH}/${domain}`);
  const change = async (what) => { if (await act("POST", `${PATH}/${domain}/dkim/${what}`)) { toast(t("admin.changed")); read(); } };
  const activate = () => sure(t("admin.domains.activate.title", { domain }), t("admin.domains.activate.text"), t("admin.domains.activate"), () => change("activate"));
  const isNext = answer?.keys.some((key) => key.state === "next");
  return html`<h2>${t("admin.domains.keys.of", { domain })}</h2><${Trouble} failure=${failure} />
    <${Rows} caption=${t("admin.domains.keys")} empty=${t("admin.domains.keys.none")} rows=${answer?.keys.map((key) => ({ id: key.selector, ...key }))} columns=${[
      ["admin.domains.selector", (key) => html`<code>${key.selector}</code>`], ["admin.domains.algorithm", (key) => key.algorithm], ["admin.runs", (key) => t(key.state === "next" ? "admin.domains.next" : "admin.domains.inUse")]]} />
    ${isNext && html`<p class="hint">${t("admin.domains.keys.hint")}</p>`}
    <p class="pages"><button type="button" onClick=${() => change("rotate")}>${t("admin.domains.rotate")}</button>${isNext && html`<button type="button" class="primary" onClick=${activate}>${t("admin.domains.activate")}</button>`}</p>`;
}

function Limits({ domain }) {
  const { answer, failure, read } = useAnswer(`${PATH}/${domain}`);
  if (!answer) return html`<${Trouble} failure=${failure} />`;
  const save = async (event) => {
    event.preventDefault();
    if (await act("PATCH", `${PATH}/${domain}`, { limits: limitsOf(event.target) })) { toast(t("admin.changed")); read(); }
  };
  return html`<form class="identity" onSubmit=${save} aria-label=${domain}><p class="whole"><strong>${t("admin.domains.limits.of", { domain })}</strong></p><${LimitFields} limits=${answer.limits} />
    <footer><p class="hint grow">${t("admin.users.limits.hint")}</p><button type="submit" class="primary">${t("save")}</button></footer></form>`;
}
