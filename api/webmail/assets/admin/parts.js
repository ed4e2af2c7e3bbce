// What every page for operators uses: answers that are read again, acts with a recent sign-in, lists of rows.

import { html, signal, useEffect, useState } from "../vendor/preact.js";
import { t } from "../words.js";
import { Failure, ask } from "../wire.js";
import { dialog, toast } from "../store/state.js";
import { confirmPassword } from "../store/account.js";
import { Dialog } from "../shell/parts.js";

// Reads `path`, and again every `everyMs` while the page is seen. Returns { answer, failure, read }.
export function useAnswer(path, everyMs = 0) {
  const [state, setState] = useState({ answer: null, failure: "" }), [turn, setTurn] = useState(0);
  useEffect(() => {
    let isCurrent = true;
    const read = () => path && ask("GET", path).then((answer) => isCurrent && setState({ answer, failure: "" }),
      (error) => isCurrent && setState((before) => ({ answer: before.answer, failure: error.message })));
    read();
    const timer = everyMs ? setInterval(() => { if (!document.hidden) read(); }, everyMs) : 0;
    return () => { isCurrent = false; clearInterval(timer); };
  }, [path, turn]);
  return { ...state, read: () => setTurn((n) => n + 1) };
}

export const pathOf = (path, values) => {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
  return query ? `${path}?${query}` : path;
};

// Pages of a list by cursor: the words of its buttons, and the cursor of the page that is shown.
export function usePages(path) {
  const [cursors, setCursors] = useState([""]), state = useAnswer(pathOf(path, { limit: 100, cursor: cursors.at(-1) }));
  const next = state.answer?.next_cursor;
  return { ...state, pages: html`<p class="pages">${cursors.length > 1 && html`<button type="button" onClick=${() => setCursors(cursors.slice(0, -1))}>${t("admin.previous")}</button>`}
    ${next && html`<button type="button" onClick=${() => setCursors([...cursors, next])}>${t("admin.following")}</button>`}</p>` };
}

const question = signal(null); // the function that takes the answer, while a password is asked for

// Sends an act; asks for the password when the sign-in is too old. Returns the answer, null if nothing was done.
export async function act(method, path, body = {}) {
  try {
    return await ask(method, path, body);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.code !== "sign_in_again") toast(t("failed.change", { why: error.message }), { kind: "error" });
    else if (await new Promise((resolve) => { question.value = resolve; })) return act(method, path, body);
    return null;
  }
}

export function Confirmation() {
  const [failure, setFailure] = useState("");
  if (!question.value) return null;
  const end = (isConfirmed) => { const answer = question.value; question.value = null; setFailure(""); answer(isConfirmed); };
  const submit = async (event) => {
    event.preventDefault();
    const { password } = event.target.elements;
    try {
      await confirmPassword(password.value);
      end(true);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      setFailure(error.message);
      password.select();
    }
  };
  return html`<${Dialog} title=${t("admin.confirm")} onClose=${() => end(false)}><form onSubmit=${submit}>
    <p>${t("admin.confirm.text")}</p><p class="notice" role="alert">${failure}</p>
    <label>${t("password")}<input type="password" name="password" required autofocus maxlength="1024" autocomplete="current-password" /></label>
    <footer><button type="button" onClick=${() => end(false)}>${t("cancel")}</button><button type="submit" class="primary">${t("admin.confirm.verb")}</button></footer></form></${Dialog}>`;
}

// Asks before something that has no way back.
export const sure = (title, text, verb, run) => { dialog.value = { name: "confirm", title, text, verb, run }; };

// A table. `columns`: [key of its heading, how a row shows it, class]; `row.id` is its key.
export function Rows({ rows, columns, empty, caption }) {
  if (!rows) return null;
  if (!rows.length) return html`<p class="nothing">${empty}</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table><thead><tr>${columns.map(([key]) => html`<th scope="col">${key ? t(key) : html`<span class="unseen">${t("admin.acts.column")}</span>`}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.id}>${columns.map(([, show, kind]) => html`<td class=${kind}>${show(row)}</td>`)}</tr>`)}</tbody></table></div>`;
}

export const Trouble = ({ failure }) => (failure ? html`<p class="trouble" role="alert">${t("admin.unread", { why: failure })}</p>` : null);

export const Act = ({ words, run, kind = "quiet" }) => html`<button type="button" class=${kind} onClick=${run}>${words}</button>`;
