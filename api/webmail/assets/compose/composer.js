// The window in which a mail is written: docked beside the list on a wide screen, all of a narrow one.

import { html, useEffect, useRef, useSignal, useState } from "../vendor/preact.js";
import { addSheet } from "../files.js";
import { t, size } from "../words.js";
import { closeComposer, connection, dialog, identities, leaving, openComposer, toast } from "../store/state.js";
import { Icon, IconButton, Menu } from "../shell/parts.js";
import { Draft, doubts, openDraft, signed } from "./draft.js";
import { Editor } from "./editor.js";
import { Recipients } from "./recipients.js";
import { sendDraft } from "./sending.js";
import { mornings } from "../shell/times.js";
import { upload } from "./uploads.js";

addSheet("compose");

export function Composer({ composer }) {
  const [draft, setDraft] = useState(null), [error, setError] = useState("");
  useEffect(() => {
    const { start, draft: ready, draftId, restored, canceled } = composer;
    if (ready) return setDraft(ready);
    if (restored) return setDraft(new Draft(restored.fields, { id: restored.id, clientId: restored.key, etag: restored.etag }));
    if (canceled) return setDraft(new Draft(canceled.fields, { id: canceled.id, returning: true }));
    if (!draftId) return setDraft(new Draft({ html: signed(), ...start }));
    openDraft(draftId).then(setDraft, (failure) => setError(failure.message));
    return undefined;
  }, []);
  if (error) return html`<section class="composer" role="dialog" aria-label=${t("compose")}><header class="composer-head"><h2>${t("compose")}</h2><${IconButton} icon="x" words=${t("close")} onClick=${() => closeComposer(composer.key)} /></header><p class="empty" role="alert">${error}</p></section>`;
  return draft && html`<${Window} draft=${draft} composer=${composer} />`;
}

function Window({ draft, composer }) {
  const fields = draft.fields.value, status = draft.status.value, shape = useSignal("docked"), copies = useSignal(fields.cc.length > 0 || fields.bcc.length > 0), pane = useRef();
  const change = (values) => draft.change(values);
  useEffect(() => {
    if (composer.restored) draft.saveAgain();
    const leave = () => { if (document.hidden) { draft.keepHere(); draft.save(); } };
    document.addEventListener("visibilitychange", leave);
    return () => document.removeEventListener("visibilitychange", leave);
  }, []);
  useEffect(() => draft.hold(), []);
  useEffect(() => {
    const keep = async () => (draft.fields.peek().attachments.some((file) => file.state === "sending") ? false : draft.keepHere());
    leaving.add(keep);
    return () => leaving.delete(keep);
  }, []);
  const { state } = connection.value;
  useEffect(() => { if (state === "live" && draft.status.value === "here") draft.saveAgain(); }, [state]);
  const close = async () => {
    closeComposer(composer.key);
    if (draft.isDirty) await draft.save();
    if (draft.status.value === "here") toast(t("draft.closedHere"));
    if (draft.status.value === "failed") toast(t("draft.failed", { why: draft.error.message }), { kind: "error" });
  };
  const keys = (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { event.preventDefault(); send(draft, composer, {}); }
    else if ((event.ctrlKey || event.metaKey) && event.shiftKey && /^[cb]$/i.test(event.key)) { event.preventDefault(); copies.value = true; }
    else if (event.key === "Escape" && !event.defaultPrevented) { event.stopPropagation(); close(); }
  };
  const files = useFiles(draft, change);
  const drop = (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    files.add([...event.dataTransfer.files]);
  };
  const title = fields.subject.trim() || t("compose.new");
  return html`<section class="composer" data-shape=${shape.value} ref=${pane} role="dialog" aria-label=${title} onKeyDown=${keys} onDragOver=${(event) => event.preventDefault()} onDrop=${drop}>
    <header class="composer-head">
      <h2 dir="auto">${title}</h2><span class="hint" role="status">${t(`draft.${status}`, { why: draft.error?.message ?? "" })}</span>
      <${IconButton} icon=${shape.value === "small" ? "chevron-up" : "minus"} words=${t(shape.value === "small" ? "compose.restore" : "compose.minimise")} kind="wide-only" onClick=${() => { shape.value = shape.value === "small" ? "docked" : "small"; }} />
      <${IconButton} icon=${shape.value === "large" ? "minimize-2" : "maximize-2"} words=${t(shape.value === "large" ? "compose.restore" : "compose.maximise")} kind="wide-only" onClick=${() => { shape.value = shape.value === "large" ? "docked" : "large"; }} />
      <${IconButton} icon="x" words=${t("compose.close")} onClick=${close} />
    </header>
    <div class="composer-body">
      ${identities.value.length > 1 && html`<div class="field"><label for=${`from-${composer.key}`}>${t("details.from")}</label><select id=${`from-${composer.key}`} value=${fields.identity_id ?? ""} onChange=${(event) => change({ identity_id: event.target.value || null })}>
        ${identities.value.map((one) => html`<option key=${one.id} value=${one.is_default ? "" : one.id}>${one.name ? `${one.name} <${one.address}>` : one.address}</option>`)}</select></div>`}
      <${Recipients} label=${t("details.to")} people=${fields.to} autofocus=${!fields.to.length} onChange=${(to) => change({ to })}>
        ${!copies.value && html`<button type="button" class="quiet" onClick=${() => { copies.value = true; }}>${t("compose.copies")}</button>`}
      </${Recipients}>
      ${copies.value && html`<${Recipients} label=${t("details.cc")} people=${fields.cc} onChange=${(cc) => change({ cc })} /><${Recipients} label=${t("details.bcc")} people=${fields.bcc} onChange=${(bcc) => change({ bcc })} />`}
      <div class="field"><label for=${`subject-${composer.key}`}>${t("compose.subject")}</label><input id=${`subject-${composer.key}`} type="text" dir="auto" maxlength="900" value=${fields.subject} onInput=${(event) => change({ subject: event.target.value })} /></div>
      ${fields.isPlain ? html`<textarea class="editor" dir="auto" aria-label=${t("compose.text")} value=${fields.text} onInput=${(event) => change({ text: event.target.value })}></textarea>`
        : html`<${Editor} value=${fields.html} onChange=${(value) => change({ html: value })} onFiles=${files.add} autofocus=${fields.to.length > 0} />`}
      ${fields.quote && html`<p class="quoted"><${Icon} name="quote" /><span>${t(fields.quote.kind === "forward" ? "compose.forwarded" : "compose.quoted")}</span><button type="button" class="quiet" onClick=${() => change({ quote: null })}>${t("compose.noQuote")}</button></p>`}
      ${fields.attachments.length > 0 && html`<ul class="composer-files">${fields.attachments.map((file, index) => html`<li key=${file.key ?? `${file.n}${file.upload_id}`} class=${file.state}><${Icon} name="paperclip" /><span class="filename">${file.filename}</span>
        <span class="hint">${file.state === "sending" ? html`<progress max="1" value=${file.progress} aria-label=${t("upload.progress")}></progress>` : file.state === "failed" ? file.error : size(file.size_bytes)}</span>
        ${file.state === "failed" && html`<button type="button" class="quiet" onClick=${() => files.again(index)}>${t("again")}</button>`}
        <${IconButton} icon="x" words=${t("upload.remove", { name: file.filename })} onClick=${() => files.remove(index)} /></li>`)}</ul>`}
    </div>
    <footer class="composer-foot">
      <button type="button" class="primary" title="Ctrl+Enter" onClick=${() => send(draft, composer, {})}><${Icon} name="send-horizontal" />${t("send")}</button>
      <${Menu} label=${t("send.later")} icon="clock" items=${times((at) => send(draft, composer, { send_at: at.toISOString() }))} />
      <label class="icon-button" title=${t("upload.add")}><${Icon} name="paperclip" /><span class="unseen">${t("upload.add")}</span><input type="file" multiple class="unseen" onChange=${(event) => { files.add([...event.target.files]); event.target.value = ""; }} /></label>
      <span class="grow"></span>
      <${Menu} label=${t("more")} items=${[{ words: t("compose.plain"), checked: fields.isPlain, run: () => change(fields.isPlain ? { isPlain: false, html: textToHtml(fields.text) } : { isPlain: true, text: htmlToText(fields.html) }) }]} />
      <${IconButton} icon="trash-2" words=${t("draft.discard")} onClick=${() => discard(draft, composer)} />
    </footer>
  </section>`;
}

// Files of the draft: those chosen, dropped and pasted.
function useFiles(draft, change) {
  const set = (key, values) => change({ attachments: draft.fields.peek().attachments.map((file) => (file.key === key ? { ...file, ...values } : file)) });
  const begin = (entry) => { entry.cancel = upload(entry.file, (values) => set(entry.key, values)); };
  return {
    add(chosen) {
      const entries = chosen.map((file) => ({ key: crypto.randomUUID(), file, filename: file.name, size_bytes: file.size, content_type: file.type, state: "sending", progress: 0 }));
      change({ attachments: [...draft.fields.peek().attachments, ...entries] });
      entries.forEach(begin);
    },
    again(index) {
      const entry = draft.fields.peek().attachments[index];
      set(entry.key, { state: "sending", progress: 0 });
      begin(entry);
    },
    remove(index) {
      const files = draft.fields.peek().attachments;
      files[index].cancel?.();
      change({ attachments: files.filter((_, other) => other !== index) });
    },
  };
}

async function send(draft, composer, values) {
  const fields = draft.fields.value;
  if (![...fields.to, ...fields.cc, ...fields.bcc].length) return toast(t("send.nobody"), { kind: "error" });
  if (fields.attachments.some((file) => file.state !== "done")) return toast(t("send.wait"), { kind: "error" });
  const doubt = composer.isSure ? null : doubts(fields);
  if (doubt) {
    dialog.value = { name: "confirm", title: doubt, text: t("send.sure"), verb: t("send"), isSafe: true, run: () => { composer.isSure = true; send(draft, composer, values); } };
    return undefined;
  }
  return sendDraft(draft, composer, values);
}

async function discard(draft, composer) {
  closeComposer(composer.key);
  const { fields } = draft, kept = fields.value;
  await draft.discard().catch(() => {});
  toast(t("draft.discarded"), { action: { words: t("undo"), run: () => openComposer({ start: kept }) } });
}

// Times to choose from, and one's own.
function times(chosen) {
  const { tomorrow, monday } = mornings(), item = (words, run) => ({ words, icon: "clock", run });
  return [item(t("send.tomorrow"), () => chosen(tomorrow)), item(t("send.monday"), () => chosen(monday)), item(t("send.own"), () => { dialog.value = { name: "time", run: chosen }; })];
}

const textToHtml = (text) => text.split("\n").map((line) => `<div>${line.replace(/[&<>]/g, (one) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[one]) || "<br>"}</div>`).join("");
const htmlToText = (text) => text.replace(/<br[^>]*>|<\/(div|p|li|h\d|blockquote)>/gi, "\n").replace(/<[^>]+>/g, "").replace(/&nbsp;/g, " ").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&").replace(/\n{3,}/g, "\n\n");
