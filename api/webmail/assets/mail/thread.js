// A conversation: its head, its messages oldest first, and what is done with it.

import { html, useEffect, useLayoutEffect, useRef, useSignal } from "../vendor/preact.js";
import { t } from "../words.js";
import { run, useActs } from "../keys.js";
import { go, listPath } from "../router.js";
import { dialog, folderName, folderOf, labels, openComposer, settings } from "../store/state.js";
import { act } from "../store/actions.js";
import { readBody, reload, threadOf } from "../store/threads.js";
import { list, openNeighbour, openedRow, perform, place } from "../list/current.js";
import { Icon, IconButton, Menu } from "../shell/parts.js";
import { Message } from "./message.js";

const FOLD_FROM = 4; // a run of more read messages folds into one line
const isNarrow = () => matchMedia("(max-width: 719px)").matches;

export function ThreadView({ id, message: wanted }) {
  const thread = threadOf(id).value;
  if (thread.state === "gone") return html`<div class="empty"><p>${t("thread.gone")}</p><a class="button" href=${listPath()}>${t("back")}</a></div>`;
  if (thread.state === "failed") {
    return html`<div class="empty" role="alert"><p>${t("thread.failed", { why: thread.error.message })}</p><button type="button" onClick=${() => reload(id)}>${t("again")}</button></div>`;
  }
  if (!thread.messages.length) return html`<div class="empty slow" role="status"><p>${t("thread.loading")}</p></div>`;
  return html`<${Conversation} key=${id} id=${id} thread=${thread} wanted=${wanted} />`;
}

function Conversation({ id, thread, wanted }) {
  const { messages, bodies } = thread, last = messages.at(-1);
  const open = useSignal(new Set([...messages.filter((one) => one.unread).map((one) => one.id), wanted ?? last.id, last.id]));
  const isUnfolded = useSignal(false), pane = useRef(), heading = useRef();
  const toggle = (messageId, on = !open.value.has(messageId)) => {
    const next = new Set(open.value);
    if (on) next.add(messageId);
    else next.delete(messageId);
    open.value = next;
  };
  useLayoutEffect(() => { // before keys can go anywhere else
    const first = messages.find((one) => one.id === wanted) ?? messages.find((one) => one.unread) ?? last;
    if (first !== messages[0]) pane.current.querySelector(`[data-id="${first.id}"]`)?.scrollIntoView({ block: "start" });
    heading.current.focus({ preventScroll: true });
  }, []);
  useMissingBodies(id, messages, bodies, open);
  useMarkRead(messages, open);
  // Answers the message that has the focus, else the last one that is not a draft.
  const answer = (kind) => async () => {
    const at = document.activeElement.closest?.("article")?.dataset.id;
    const message = messages.find((one) => one.id === at) ?? messages.filter((one) => !one.folder_ids.includes("drafts")).at(-1) ?? last;
    const { answerTo } = await import("../compose/draft.js");
    openComposer({ start: answerTo(kind, message, bodies[message.id]) });
  };
  useActs(threadKeys(pane, open, messages, toggle), [messages]);
  useActs({ reply: answer("reply"), replyAll: answer("replyAll"), forward: answer("forward") }, [messages, bodies]);
  const newest = useRef(new Set(messages.map((one) => one.id)));
  useEffect(() => { // a message that comes while the conversation is open is open too
    for (const one of messages) if (!newest.current.has(one.id)) { newest.current.add(one.id); toggle(one.id, true); }
  }, [messages]);
  return html`
    <${Toolbar} messages=${messages} />
    <div class="conversation" ref=${pane}>
      <header class="subject">
        <h2 ref=${heading} aria-level=${isNarrow() ? 1 : undefined} tabindex="-1" dir="auto">${last.subject || t("no.subject")}</h2>
        <${Chips} messages=${messages} />
      </header>
      ${folded(messages, open.value, isUnfolded.value).map((part) => (part.count
        ? html`<button type="button" class="fold" onClick=${() => { isUnfolded.value = true; }}><${Icon} name="chevron-down" />${t("thread.earlier", { n: part.count })}</button>`
        : html`<${Message} key=${part.id} message=${part} body=${bodies[part.id]} isOpen=${open.value.has(part.id)} isOnly=${messages.length === 1} toggle=${toggle} />`))}
      <div class="answers">
        <button type="button" onClick=${() => run("reply")}><${Icon} name="reply" />${t("act.reply")}</button>
        <button type="button" onClick=${() => run("replyAll")}><${Icon} name="reply-all" />${t("act.replyAll")}</button>
        <button type="button" onClick=${() => run("forward")}><${Icon} name="forward" />${t("act.forward")}</button>
      </div>
    </div>`;
}

// Messages, with one line in place of a run of closed ones.
function folded(messages, open, isUnfolded) {
  const closed = messages.findIndex((one) => open.has(one.id));
  if (isUnfolded || closed <= FOLD_FROM) return messages;
  return [messages[0], { count: closed - 2 }, ...messages.slice(closed - 1)];
}

function useMissingBodies(id, messages, bodies, open) {
  useEffect(() => {
    for (const one of messages) if (open.value.has(one.id) && !bodies[one.id]) readBody(id, one.id).catch(() => {});
  }, [messages, open.value]);
}

// Messages that were open on screen for a while are read; for how long is a setting, null is never.
function useMarkRead(messages, open) {
  const after = settings.value.mark_read_after_s, unread = messages.filter((one) => one.unread && open.value.has(one.id)).map((one) => one.id);
  const done = useRef(new Set());
  useEffect(() => {
    const fresh = unread.filter((one) => !done.current.has(one));
    if (after === null || !fresh.length) return undefined;
    const timer = setTimeout(() => {
      if (document.hidden) return;
      fresh.forEach((one) => done.current.add(one));
      const row = openedRow();
      if (row) act("read", [{ ...row, message: undefined, messages: messages.filter((one) => fresh.includes(one.id)), message_ids: fresh }], list.value, { isSilent: true });
    }, after * 1000);
    return () => clearTimeout(timer);
  }, [unread.join(), after]);
}

function threadKeys(pane, open, messages, toggle) {
  const step = (by) => () => {
    const articles = [...pane.current.querySelectorAll("article")];
    const at = articles.findIndex((one) => one.contains(document.activeElement));
    const next = articles[at < 0 ? (by > 0 ? 0 : articles.length - 1) : at + by];
    next?.querySelector(".message-head")?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  return {
    nextMessage: step(1), previousMessage: step(-1),
    openAll: () => { open.value = new Set(messages.map((one) => one.id)); }, closeAll: () => { open.value = new Set([messages.at(-1).id]); },
    open: () => { const id = document.activeElement.closest?.("article")?.dataset.id; if (id) toggle(id); },
  };
}

function Toolbar({ messages }) {
  const { canArchive, isTrash, isJunk } = place.value, row = openedRow(), unread = messages.some((one) => one.unread), starred = messages.some((one) => one.flagged);
  return html`<div class="toolbar" role="toolbar" aria-label=${t("act.all")}>
    <${IconButton} icon="arrow-left" words=${t("back")} act="back" kind="back" onClick=${() => go(listPath())} />
    ${canArchive && html`<${IconButton} icon="archive" words=${t("act.archive")} act="archive" onClick=${() => perform("archive", {}, [row])} />`}
    <${IconButton} icon="trash-2" words=${t(isTrash || isJunk ? "act.destroy" : "act.trash")} act="trash" onClick=${() => perform("trash", {}, [row])} />
    ${isJunk || isTrash ? html`<${IconButton} icon="inbox" words=${t(isJunk ? "act.notJunk" : "act.toInbox")} onClick=${() => perform("inbox", {}, [row])} />`
      : html`<${IconButton} icon="shield-alert" words=${t("act.junk")} act="junk" onClick=${() => perform("junk", {}, [row])} />`}
    <span class="gap"></span>
    <${IconButton} icon=${unread ? "mail-open" : "mail"} words=${t(unread ? "act.read" : "act.unread")} act=${unread ? "read" : "unread"}
      onClick=${() => { perform(unread ? "read" : "unread", {}, [row]); if (!unread) go(listPath()); }} />
    <${IconButton} icon="star" kind=${starred ? "starred" : ""} words=${t(starred ? "act.unstar" : "act.star")} act="star" aria-pressed=${starred} onClick=${() => perform(starred ? "unstar" : "star", {}, [row])} />
    <${IconButton} icon="folder-input" words=${t("act.move")} act="move" kind="wide-only" onClick=${() => { dialog.value = { name: "move" }; }} />
    <${IconButton} icon="tag" words=${t("act.label")} act="label" kind="wide-only" onClick=${() => { dialog.value = { name: "label" }; }} />
    <span class="grow"></span>
    <${IconButton} icon="chevron-up" words=${t("newer")} kind="wide-only" onClick=${() => openNeighbour(-1)} />
    <${IconButton} icon="chevron-down" words=${t("older")} kind="wide-only" onClick=${() => openNeighbour(1)} />
    <${Menu} label=${t("more")} items=${[
      isNarrow() && { words: t("act.move"), icon: "folder-input", run: () => { dialog.value = { name: "move" }; } },
      isNarrow() && { words: t("act.label"), icon: "tag", run: () => { dialog.value = { name: "label" }; } },
      { words: t("act.print"), icon: "printer", run: () => print() },
    ].filter(Boolean)} />
  </div>`;
}

function Chips({ messages }) {
  const places = [...new Set(messages.flatMap((one) => one.folder_ids))].map(folderOf).filter(Boolean);
  const known = labels.value.filter((label) => messages.some((one) => one.keywords.includes(label.keyword)));
  return html`<p class="chips">
    ${places.map((folder) => html`<a key=${folder.id} class="chip" href=${`/mail/${folder.id}`}>${folderName(folder)}</a>`)}
    ${known.map((label) => html`<span key=${label.keyword} class="chip" data-colour=${label.colour}>${label.name}
      <button type="button" aria-label=${t("label.remove", { name: label.name })} onClick=${() => perform("label", { keyword: label.keyword, on: false }, [openedRow()])}><${Icon} name="x" /></button></span>`)}
  </p>`;
}
