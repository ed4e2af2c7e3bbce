// The sign-in: as a page, and over the page when a session has ended.

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { t } from "../words.js";
import { me, notice } from "../store/state.js";
import { signIn } from "../store/account.js";
import { Icon, IconButton } from "./parts.js";

export function SignIn() {
  return html`<main class="sign-in"><${Form} address="" /></main>`;
}

export function SignInAgain() {
  return html`<div class="sign-in over"><${Form} address=${me.value?.address ?? ""} /></div>`;
}

function Form({ address }) {
  const form = useRef(), [busy, setBusy] = useState(false), [shown, setShown] = useState(false);
  useEffect(() => {
    document.title = `${t("signIn")} · Postriver`;
    form.current.elements[address ? "password" : "address"].focus();
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    const { address: who, password } = form.current.elements;
    setBusy(true);
    notice.value = "";
    try {
      await signIn(who.value.trim(), password.value, form.current.elements.remember.checked);
    } catch (error) {
      notice.value = error.status === 401 ? t("signIn.wrong") : error.message;
      setBusy(false);
      password.select();
    }
  };
  return html`<form class="card" ref=${form} method="post" onSubmit=${submit}>
    <p class="brand"><${Icon} name="brand" /><span>Postriver</span></p>
    <h1>${t("signIn")}</h1>
    <p class="notice" role="alert" id="notice">${notice.value}</p>
    <label for="address">${t("address")}</label>
    <input id="address" name="address" type="email" defaultValue=${address} autocomplete="username" autocapitalize="none" spellcheck=${false} required maxlength="320" aria-describedby="notice" />
    <label for="password">${t("password")}</label>
    <div class="with-button"><input id="password" name="password" type=${shown ? "text" : "password"} autocomplete="current-password" required maxlength="1024" aria-describedby="notice" />
      <${IconButton} icon="eye" words=${t(shown ? "password.hide" : "password.show")} aria-pressed=${shown} onClick=${() => setShown(!shown)} /></div>
    <label class="remember"><input type="checkbox" name="remember" checked />${t("signIn.remember")}</label>
    <button class="primary" type="submit" disabled=${busy}>${t(busy ? "signIn.busy" : "signIn")}</button>
  </form>`;
}
