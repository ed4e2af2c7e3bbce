// Addresses that the user writes from, with names and signatures; and how mail is written and sent.

import { html, useEffect, useState } from "../vendor/preact.js";
import { t } from "../words.js";
import { Failure, ask } from "../wire.js";
import { identities, me, toast } from "../store/state.js";
import { Choice, Switch } from "./fields.js";

const escaped = (text) => text.replace(/[&<>]/g, (one) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[one]);

export function Identities() {
  const [known, setKnown] = useState(identities.value);
  const read = async () => {
    const answer = await ask("GET", "/v1/identities").catch(() => null);
    if (answer) setKnown(identities.value = answer.identities);
  };
  useEffect(() => { read(); }, []);
  const attempt = async (method, path, body) => {
    try {
      await ask(method, path, body);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      toast(t("failed.settings", { why: error.message }), { kind: "error" });
    }
    read();
  };
  return html`<h2>${t("settings.identities")}</h2>
    ${known.map((one) => html`<${Identity} key=${one.id} identity=${one} attempt=${attempt} isOnly=${known.length === 1} />`)}
    <button type="button" onClick=${() => attempt("POST", "/v1/identities", { address: me.value.address, name: me.value.name })}>${t("settings.newIdentity")}</button>
    <h2>${t("settings.sending")}</h2>
    <${Choice} name="undo_send_s" words=${t("settings.undoSend")} values=${[0, 5, 10, 20, 30, 60].map((n) => [n, n ? t("settings.seconds", { n }) : t("settings.none")])} />
    <${Switch} name="plain_text" words=${t("settings.plainText")} />`;
}

function Identity({ identity, attempt, isOnly }) {
  const path = `/v1/identities/${identity.id}`;
  const save = (event) => {
    event.preventDefault();
    const { name, address, signature } = event.target.elements, text = signature.value.trimEnd();
    attempt("PATCH", path, { name: name.value.trim(), address: address.value, signature_text: text, signature_html: text.split("\n").map((line) => `<div>${escaped(line) || "<br>"}</div>`).join("") });
    toast(t("settings.saved"));
  };
  return html`<form class="identity" onSubmit=${save}>
    <label>${t("settings.name")}<input type="text" name="name" maxlength="100" defaultValue=${identity.name} /></label>
    <label>${t("address")}<select name="address">${[...new Set([identity.address, ...me.value.addresses])].map((one) => html`<option key=${one} selected=${one === identity.address}>${one}</option>`)}</select></label>
    <label class="whole">${t("settings.signature")}<textarea name="signature" rows="3" maxlength="2000">${identity.signature_text}</textarea></label>
    <footer>${identity.is_default ? html`<span class="chip">${t("settings.isDefault")}</span>` : html`<button type="button" class="quiet" onClick=${() => attempt("PATCH", path, { is_default: true })}>${t("settings.makeDefault")}</button>`}
      <span class="grow"></span>
      ${!isOnly && !identity.is_default && html`<button type="button" onClick=${() => attempt("DELETE", path)}>${t("settings.delete")}</button>`}
      <button type="submit" class="primary">${t("save")}</button></footer>
  </form>`;
}
