// Password, sign-ins that are open, passwords of mail programs, attempts to sign in.

import { html, useEffect, useState } from "../vendor/preact.js";
import { t, fullDate, headDate } from "../words.js";
import { Failure, ask } from "../wire.js";
import { toast } from "../store/state.js";

export function Security() {
  const [sessions, setSessions] = useState([]), [programs, setPrograms] = useState([]), [logins, setLogins] = useState([]);
  const read = () => Promise.all([
    ask("GET", "/v1/sessions").then((answer) => setSessions(answer.sessions)), ask("GET", "/v1/me/app-passwords").then((answer) => setPrograms(answer.app_passwords)),
    ask("GET", "/v1/me/logins?limit=20").then((answer) => setLogins(answer.logins)),
  ]).catch((error) => toast(t("failed.change", { why: error.message }), { kind: "error" }));
  useEffect(() => { read(); }, []);
  const remove = (path) => ask("DELETE", path).then(read, (error) => toast(t("failed.change", { why: error.message }), { kind: "error" }));
  return html`<${Password} />
    <h2>${t("security.sessions")}</h2>
    <ul class="table">${sessions.map((one) => html`<li key=${one.id}><span class="wide"><bdi>${browserOf(one.user_agent)}</bdi><span class="hint">${one.peer}${one.last_used_at ? `, ${headDate(one.last_used_at)}` : ""}</span></span>
      ${one.current ? html`<span class="chip">${t("security.this")}</span>` : html`<button type="button" class="quiet" onClick=${() => remove(`/v1/sessions/${one.id}`)}>${t("signOut")}</button>`}</li>`)}</ul>
    ${sessions.length > 1 && html`<button type="button" onClick=${() => remove("/v1/sessions")}>${t("security.endOthers")}</button>`}
    <${Programs} programs=${programs} read=${read} remove=${remove} />
    <h2>${t("security.attempts")}</h2>
    <ul class="table">${logins.map((one, at) => html`<li key=${at}><span class="wide"><span>${fullDate(one.at)}</span><span class="hint">${one.peer} ${one.protocol ?? ""} ${browserOf(one.user_agent)}</span></span><span class=${`outcome ${one.outcome}`}>${t(`security.${one.outcome}`)}</span></li>`)}</ul>`;
}

const browserOf = (agent) => (agent.match(/(Firefox|Edg|Chrome|Safari)\/[\d]+/)?.[0] ?? agent.slice(0, 60)).replace("Edg/", "Edge/").replace("/", " ");

function Password() {
  const change = async (event) => {
    event.preventDefault();
    const form = event.target, { old, fresh } = form.elements;
    try {
      await ask("PATCH", "/v1/me", { old_password: old.value, password: fresh.value });
      form.reset();
      toast(t("security.changed"));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      toast(t("failed.settings", { why: error.message }), { kind: "error" });
    }
  };
  return html`<h2>${t("password")}</h2><form class="identity" onSubmit=${change}>
    <label>${t("security.old")}<input type="password" name="old" required maxlength="1024" autocomplete="current-password" /></label>
    <label>${t("security.new")}<input type="password" name="fresh" required minlength="8" maxlength="1024" autocomplete="new-password" /></label>
    <footer><p class="hint grow">${t("security.hint")}</p><button type="submit" class="primary">${t("security.change")}</button></footer></form>`;
}

function Programs({ programs, read, remove }) {
  const [made, setMade] = useState(null);
  const add = async (event) => {
    event.preventDefault();
    const form = event.target, { name, password } = form.elements;
    try {
      setMade(await ask("POST", "/v1/me/app-passwords", { name: name.value.trim(), scopes: ["read", "send"], password: password.value }));
      form.reset();
      read();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      toast(t("failed.settings", { why: error.message }), { kind: "error" });
    }
  };
  return html`<h2>${t("security.programs")}</h2><p class="hint">${t("security.programs.hint")}</p>
    ${made && html`<p class="made" role="status">${t("security.made", { name: made.name })} <code>${made.password}</code></p>`}
    <ul class="table">${programs.map((one) => html`<li key=${one.id}><span class="wide"><bdi>${one.name}</bdi><span class="hint">${one.last_used_at ? t("security.used", { at: headDate(one.last_used_at) }) : t("security.unused")}</span></span><button type="button" class="quiet" onClick=${() => remove(`/v1/me/app-passwords/${one.id}`)}>${t("security.revoke")}</button></li>`)}</ul>
    <form class="identity" onSubmit=${add}><label>${t("security.program")}<input type="text" name="name" required maxlength="64" /></label><label>${t("security.account")}<input type="password" name="password" required maxlength="1024" autocomplete="current-password" /></label>
      <footer><span class="grow"></span><button type="submit">${t("security.add")}</button></footer></form>`;
}
