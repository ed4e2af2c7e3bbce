// Rows of the settings pages that show one setting and save what is chosen.

import { html } from "../vendor/preact.js";
import { settings } from "../store/state.js";
import { saveSettings } from "../store/account.js";

// A row with a choice of values; `values` are [value, words].
export function Choice({ name, words, hint, values }) {
  const id = `setting-${name}`, value = settings.value[name];
  const chosen = (event) => saveSettings({ [name]: values[event.target.selectedIndex][0] });
  return html`<div class="setting"><label for=${id}>${words}</label>${hint && html`<p class="hint">${hint}</p>`}
    <select id=${id} onChange=${chosen}>${values.map(([one, text]) => html`<option key=${one} selected=${one === value}>${text}</option>`)}</select></div>`;
}

export function Switch({ name, words, hint }) {
  const id = `setting-${name}`;
  return html`<div class="setting switch-row"><label for=${id}>${words}</label>${hint && html`<p class="hint">${hint}</p>`}
    <input id=${id} type="checkbox" role="switch" checked=${settings.value[name]} onChange=${(event) => saveSettings({ [name]: event.target.checked })} /></div>`;
}
