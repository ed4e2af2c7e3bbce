// A field of recipients: tokens, with completion from people that the user wrote to or heard from.

import { html, useEffect, useId, useRef, useState } from "../vendor/preact.js";
import { t } from "../words.js";
import { ask } from "../wire.js";
import { Icon } from "../shell/parts.js";

const WAIT_MS = 80;
const ADDRESS = /^[^\s@<>,;]+@[^\s@<>,;]+$/;

// Addresses in text such as `Ann <ann@x.test>, bob@x.test`. What is none stays with `isBad`.
export function parseAddresses(text) {
  return text.split(/[,;\n]+(?=(?:[^"]*"[^"]*")*[^"]*$)/).map((part) => part.trim()).filter(Boolean).map((part) => {
    const named = part.match(/^"?(.*?)"?\s*<([^<>]+)>$/);
    const [name, address] = named ? [named[1], named[2].trim()] : ["", part];
    return { name, address, ...(ADDRESS.test(address) ? {} : { isBad: true }) };
  });
}

export function Recipients({ label, people, onChange, autofocus = false, children }) {
  const [text, setText] = useState(""), [found, setFound] = useState([]), [at, setAt] = useState(0);
  const field = useRef(), id = useId();
  useEffect(() => { if (autofocus) field.current.focus(); }, []);
  useEffect(() => {
    if (!text.trim()) return setFound([]);
    const timer = setTimeout(async () => {
      const answer = await ask("GET", `/v1/addresses?q=${encodeURIComponent(text.trim().slice(0, 100))}&limit=8`).catch(() => null);
      setFound((answer?.addresses ?? []).filter((one) => !people.some((known) => known.address === one.address)));
      setAt(0);
    }, WAIT_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const add = (more) => {
    setText("");
    setFound([]);
    if (more.length) onChange([...people, ...more.filter((one) => !people.some((known) => known.address.toLowerCase() === one.address.toLowerCase()))]);
  };
  const keys = (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) {
      event.preventDefault();
      setAt((at + step + found.length) % found.length);
    } else if (["Enter", "Tab", ",", ";"].includes(event.key) && text.trim()) {
      event.preventDefault();
      add(found[at] ? [{ name: found[at].name, address: found[at].address }] : parseAddresses(text));
    } else if (event.key === "Backspace" && !text && people.length) {
      onChange(people.slice(0, -1));
    } else if (event.key === "Escape" && found.length) {
      event.stopPropagation();
      setFound([]);
    }
  };
  const pasted = (event) => {
    const list = event.clipboardData.getData("text/plain");
    if (!/[,;\n]/.test(list)) return;
    event.preventDefault();
    add(parseAddresses(text + list));
  };
  return html`<div class="field recipients-field">
    <label for=${id}>${label}</label>
    <div class="tokens">
      ${people.map((one, index) => html`<span key=${one.address} class=${`chip token${one.isBad ? " bad" : ""}`} title=${one.address}><bdi>${one.name || one.address}</bdi>
        <button type="button" aria-label=${t("compose.removePerson", { name: one.name || one.address })} onClick=${() => onChange(people.filter((_, other) => other !== index))}><${Icon} name="x" /></button></span>`)}
      <input id=${id} ref=${field} type="text" inputmode="email" autocomplete="off" autocapitalize="none" spellcheck=${false} value=${text} role="combobox" aria-expanded=${found.length > 0} aria-controls=${`${id}-list`}
        aria-activedescendant=${found.length ? `${id}-${at}` : undefined} onInput=${(event) => setText(event.target.value)} onKeyDown=${keys} onPaste=${pasted} onBlur=${() => text.trim() && add(parseAddresses(text))} />
    </div>
    ${children}
    <div id=${`${id}-list`} role="listbox" aria-label=${t("compose.people")} class=${`suggestions${found.length ? "" : " none"}`}>${found.map((one, index) => html`<div key=${one.address} id=${`${id}-${index}`} role="option" aria-selected=${index === at}
      onMouseDown=${(event) => { event.preventDefault(); add([{ name: one.name, address: one.address }]); field.current.focus(); }}><bdi class="strong">${one.name || one.address}</bdi>${one.name && html`<bdi class="hint">${one.address}</bdi>`}</div>`)}</div>
  </div>`;
}
