// One message of a conversation: a line while it is closed; head, text and attachments while it is open.

import { html, useEffect, useRef, useSignal } from "../vendor/preact.js";
import { t, fullDate, headDate, shortDate, size } from "../words.js";
import { isMine, nameOf } from "../store/state.js";
import { Dialog, Icon, Menu } from "../shell/parts.js";
import { act } from "../store/actions.js";
import { Delivery } from "./delivery.js";
import { MailFrame } from "./frame.js";
import { Pictures, usePictures } from "./pictures.js";
import { PlainText } from "./plain.js";

const ICON_OF = [[/^image\//, "file-image"], [/^text\/|pdf|document/, "file-text"], [/zip|tar|compressed/, "file-archive"]];

export function Message({ message, body, isOpen, isOnly, toggle }) {
  const sender = nameOf(message.from);
  const head = html`<span class="face" aria-hidden="true">${sender.slice(0, 1).toUpperCase()}</span>
    <span class="from"><bdi class="name">${isMine(message.from.address) ? t("me") : sender}</bdi>
      ${isOpen && message.from.name && html`<bdi class="address">${message.from.address}</bdi>`}</span>
    ${!isOpen && html`<span class="preview" dir="auto">${message.preview}</span>`}
    <span class="grow"></span>
    ${message.flagged && html`<${Icon} name="star" />`}${!isOpen && message.has_attachments && html`<${Icon} name="paperclip" />`}
    <time datetime=${message.received_at} title=${fullDate(message.received_at)}>${isOpen ? headDate(message.received_at) : shortDate(message.received_at)}</time>`;
  return html`<article class=${`message${isOpen ? " open" : ""}${message.unread ? " unread" : ""}`} data-id=${message.id} aria-label=${t("message.from", { who: sender })}>
    <div class="message-top">
      ${isOnly ? html`<div class="message-head" tabindex="-1">${head}</div>`
        : html`<button type="button" class="message-head" aria-expanded=${isOpen} onClick=${() => toggle(message.id)}>${head}</button>`}
      ${isOpen && html`<${More} message=${message} body=${body} />`}
    </div>
    ${isOpen && html`<${OnPaper} message=${message} body=${body} /><${Recipients} message=${message} body=${body} />`}
    ${isOpen && isMine(message.from.address) && message.folder_ids.includes("sent") && html`<${Delivery} message=${message} />`}
    ${isOpen && (body ? html`<${Content} message=${message} body=${body} />` : html`<p class="hint slow">${t("message.loading")}</p>`)}
  </article>`;
}

function More({ message, body }) {
  const change = (what) => act(what, [{ id: message.id, thread_id: message.thread_id, latest_id: message.id, message_ids: [message.id], messages: [message], unread: 0, keywords: message.keywords }], null);
  return html`<${Menu} label=${t("message.more")} items=${[
    { words: t(message.flagged ? "act.unstar" : "act.star"), icon: "star", run: () => change(message.flagged ? "unstar" : "star") },
    { words: t("act.unread"), icon: "mail", run: () => change("unread") },
    { words: t("message.trash"), icon: "trash-2", run: () => change("trash") },
    null,
    body?.unsubscribe?.url && { words: t("message.unsubscribe"), icon: "ban", href: body.unsubscribe.url },
    { words: t("message.raw"), icon: "code", href: `/v1/messages/${message.id}/raw`, download: true },
  ].filter((item) => item !== undefined && item !== false)} />`;
}

const addresses = (people) => people.map((one) => (one.name ? `${one.name} <${one.address}>` : one.address)).join(", ");

// The head of a message on paper: who, to whom, when.
function OnPaper({ message, body }) {
  const rows = [["from", addresses([message.from])], ["to", addresses(message.to)], ["cc", body && addresses(body.cc)], ["date", fullDate(message.date ?? message.received_at)]];
  return html`<dl class="on-paper">${rows.filter(([, value]) => value).map(([name, value]) => html`<dt>${t(`details.${name}`)}</dt><dd dir="auto">${value}</dd>`)}</dl>`;
}

function Recipients({ message, body }) {
  const open = useSignal(false);
  const short = message.to.map((one) => (isMine(one.address) ? t("me") : nameOf(one, message.to.length > 1))).join(", ");
  return html`<div class="recipients">
    <button type="button" class="quiet" aria-expanded=${open.value} onClick=${() => { open.value = !open.value; }}>
      <bdi>${t("message.to", { names: short || t("no.recipients") })}</bdi><${Icon} name=${open.value ? "chevron-up" : "chevron-down"} /></button>
    ${open.value && html`<${Details} message=${message} body=${body} />`}
  </div>`;
}

function Details({ message, body }) {
  const rows = [
    ["from", addresses([message.from])], ["to", addresses(message.to)], ["cc", body && addresses(body.cc)], ["replyTo", body && addresses(body.reply_to)],
    ["date", message.date && fullDate(message.date)], ["received", fullDate(message.received_at)], ["size", size(message.size_bytes)],
    ["messageId", body?.message_id], ["spam", body && `${body.spam.score.toFixed(1)}${body.spam.tests.length ? ` (${body.spam.tests.join(", ")})` : ""}`], ["id", message.id],
  ];
  return html`<dl class="details">
    ${rows.filter(([, value]) => value).map(([name, value]) => html`<dt>${t(`details.${name}`)}</dt><dd dir="auto">${value}</dd>`)}
    ${body?.hops.length > 0 && html`<dt>${t("details.hops")}</dt><dd><ol class="hops">${body.hops.map((hop) => html`<li><b>${hop.stage}</b> ${hop.verdict} <span class="hint">${hop.took_ms.toFixed(1)} ms</span></li>`)}</ol></dd>`}
  </dl>`;
}

function Content({ message, body }) {
  const plain = useSignal(false), missing = useSignal(false), pictures = usePictures(message, body.view), isHtml = body.view.html, both = isHtml && (missing.value || body.text.trim() !== "");
  const files = body.attachments.filter((file) => !file.inline || !isHtml || plain.value || !file.content_id);
  return html`
    ${body.unchecked.length > 0 && html`<p class="warning"><${Icon} name="triangle-alert" />${t(body.unchecked.includes("encrypted") ? "unchecked.encrypted" : "unchecked.parts")}</p>`}
    ${missing.value && html`<p class="hint" role="status">${t("message.missing")}</p>`}
    ${isHtml && !plain.value ? html`<${MailFrame} message=${message} view=${body.view} pictures=${pictures.shown} onMissing=${() => { plain.value = missing.value = true; }} />` : html`<${PlainText} text=${body.text} />`}
    ${isHtml && !plain.value && html`<${Pictures} message=${message} view=${body.view} pictures=${pictures} />`}
    ${files.length > 0 && html`<${Attachments} message=${message} files=${files} />`}
    ${both && html`<p class="switch"><button type="button" class="quiet" onClick=${() => { plain.value = !plain.value; missing.value = false; }}>${t(plain.value ? "message.formatted" : "message.plain")}</button></p>`}`;
}

function Attachments({ message, files }) {
  const shown = useSignal(null);
  return html`<section class="attachments" aria-label=${t("attachments", { n: files.length })}>
    <h3>${t("attachments", { n: files.length })}</h3>
    <ul>${files.map((file) => html`<li key=${file.n}><${File} message=${message} file=${file} show=${() => { shown.value = file; }} /></li>`)}</ul>
    ${shown.value && html`<${Preview} message=${message} file=${shown.value} onClose=${() => { shown.value = null; }} />`}
  </section>`;
}

const addressOf = (message, file) => `/v1/messages/${message.id}/attachments/${file.n}`;
const labelOf = (file) => file.filename || t("attachment.unnamed", { n: file.n });

// What can be shown opens here; all else is downloaded.
function File({ message, file, show }) {
  const inside = html`<${Icon} name=${ICON_OF.find(([pattern]) => pattern.test(file.content_type))?.[1] ?? "file"} /><span class="filename" dir="auto">${labelOf(file)}</span><span class="hint">${size(file.size_bytes)}</span>`;
  if (file.preview) return html`<button type="button" class="file" onClick=${show}>${inside}</button>`;
  return html`<a class="file" href=${addressOf(message, file)} download=${file.filename || ""}>${inside}</a>`;
}

function Preview({ message, file, onClose }) {
  const frame = useRef();
  useEffect(() => { // the browser's PDF viewer takes the focus as it loads, and with it the Escape that closes the dialog
    const back = () => {
      if (!frame.current || document.activeElement !== frame.current) return;
      removeEventListener("blur", back);
      setTimeout(() => frame.current?.closest("dialog").querySelector("button").focus());
    };
    addEventListener("blur", back);
    return () => removeEventListener("blur", back);
  }, []);
  const address = `${addressOf(message, file)}?inline=true`;
  return html`<${Dialog} title=${labelOf(file)} onClose=${onClose} kind="preview">
    ${file.preview === "image" ? html`<img src=${address} alt=${labelOf(file)} />` : html`<iframe ref=${frame} src=${address} title=${labelOf(file)}></iframe>`}
    <footer><a class="button" href=${addressOf(message, file)} download=${file.filename || ""}><${Icon} name="download" />${t("attachment.save")}</a></footer>
  </${Dialog}>`;
}
