// A mail that is being written: its fields, saved on the device each pause, on the server behind, then sent.

import { signal } from "../vendor/preact.js";
import { t } from "../words.js";
import { ask, request } from "../wire.js";
import { identities, me, settings } from "../store/state.js";
import { keep, release } from "../store/device.js";
import { discardLater } from "../store/outbox.js";

const DEVICE_MS = 300;
const SERVER_MS = 3000;
const SERVER_EVERY_MS = 10_000;
const RETURN_MS = 250;
const RETURN_TRIES = 40;

export const EMPTY = { identity_id: null, to: [], cc: [], bcc: [], subject: "", html: "", text: "", isPlain: false, attachments: [], quote: null, in_reply_to: null, forward_of: null };

export class Draft {
  #device = 0; #server = 0; #saving = null; #savedAt = 0;

  // `start`: fields that differ from an empty mail; `id`: of a draft on the server.
  // `returning`: a canceled mail that is on its way back to Drafts.
  constructor(start = {}, { id = null, clientId = crypto.randomUUID(), etag = null, returning = false } = {}) {
    this.clientId = clientId;
    this.id = id;
    this.etag = etag;
    this.fields = signal({ ...EMPTY, isPlain: settings.value.plain_text, ...start });
    this.status = signal(id ? "saved" : "new"); // new | changed | saving | saved | here (on this device) | failed
    this.ready = returning ? this.#arrival() : Promise.resolve();
  }

  async #arrival() {
    const found = await arrived(this.id);
    if (found) this.etag = found.headers.get("ETag");
    else this.id = null; // it did not come back in time: this version becomes a draft of its own
  }

  get isDirty() { return ["changed", "saving", "failed", "here"].includes(this.status.value); }

  // The fields as the device keeps them: files that are not on the server are not.
  get kept() {
    const { attachments, ...rest } = this.fields.value;
    return { ...rest, attachments: attachments.filter((file) => file.state === "done").map(({ file, cancel, ...known }) => known) };
  }

  // Marks the draft as open in this tab; returns the function that ends it.
  hold() {
    let end = null;
    navigator.locks?.request(`draft ${this.clientId}`, () => new Promise((resolve) => { end = resolve; })).catch(() => {});
    return () => end?.();
  }

  saveAgain() {
    this.status.value = "changed";
    return this.save();
  }

  change(values) {
    this.fields.value = { ...this.fields.value, ...values };
    this.status.value = "changed";
    clearTimeout(this.#device);
    this.#device = setTimeout(() => this.keepHere(), DEVICE_MS);
    clearTimeout(this.#server);
    this.#server = setTimeout(() => this.save(), Math.max(SERVER_MS, SERVER_EVERY_MS - (Date.now() - this.#savedAt)));
  }

  // On this device, so that the end of the browser loses nothing.
  keepHere() {
    clearTimeout(this.#device);
    return keep("drafts", this.clientId, { id: this.id, etag: this.etag, fields: this.kept, at: Date.now() });
  }

  async save() {
    clearTimeout(this.#server);
    if (this.#saving) return this.#saving.then(() => (this.status.value === "changed" ? this.save() : undefined));
    if (!["changed", "failed", "here"].includes(this.status.value)) return undefined;
    const fields = this.fields.value;
    this.status.value = "saving";
    this.#saving = this.#put(fields);
    try {
      await this.#saving;
      if (this.status.value === "saving") this.status.value = this.fields.value === fields ? "saved" : "changed";
      if (this.status.value === "saved") await release("drafts", this.clientId);
    } catch (error) {
      this.error = error;
      this.status.value = error.isAway && await this.keepHere() !== null ? "here" : "failed";
    } finally {
      this.#saving = null;
      this.#savedAt = Date.now();
    }
    return undefined;
  }

  async #put(fields) {
    await this.ready;
    const body = bodyOf(fields);
    try {
      const answer = this.id ? await request("PUT", `/v1/drafts/${this.id}`, body, this.etag ? { "If-Match": this.etag } : {})
        : await request("POST", "/v1/drafts", { ...body, client_id: this.clientId });
      if (answer.body) this.id = answer.body.id;
      this.etag = answer.headers.get("ETag");
    } catch (error) {
      if (error.status !== 412 && error.status !== 404 && error.status !== 409) throw error;
      // Saved elsewhere meanwhile, or deleted: this version goes on as a draft of its own.
      this.clientId = crypto.randomUUID();
      const copy = await request("POST", "/v1/drafts", { ...body, client_id: this.clientId });
      this.id = copy.body.id;
      this.etag = copy.headers.get("ETag");
      this.isCopy = true;
    }
    if (fields.attachments.some((file) => file.n)) await this.#readParts();
  }

  // Parts of the draft have other numbers after each save.
  async #readParts() {
    const { attachments } = await ask("GET", `/v1/drafts/${this.id}`);
    const now = this.fields.value;
    if (attachments.length !== now.attachments.length) return;
    this.fields.value = { ...now, attachments: now.attachments.map((file, index) => (file.n ? { ...file, n: attachments[index].n } : file)) };
  }

  // Sends; returns the answer.
  async send(values = {}) {
    clearTimeout(this.#server);
    clearTimeout(this.#device);
    await this.#saving?.catch(() => {});
    await this.ready;
    const { body, idempotencyKey } = this.request(values);
    const answer = await ask("POST", "/v1/messages", body, { "Idempotency-Key": idempotencyKey });
    await release("drafts", this.clientId);
    return answer;
  }

  // What sends the draft. A repeat has the same key, so it makes no second mail.
  request(values) {
    return { body: { ...bodyOf(this.fields.value), draft_id: this.id, ...values }, idempotencyKey: `${this.clientId}-0` };
  }

  async discard() {
    clearTimeout(this.#server);
    clearTimeout(this.#device);
    await this.#saving?.catch(() => {});
    await release("drafts", this.clientId);
    if (!this.id) return;
    await ask("DELETE", `/v1/drafts/${this.id}`).catch((error) => (error.isAway ? discardLater(this.id) : Promise.reject(error)));
  }
}

export function bodyOf(fields) {
  const { isPlain, html, text, attachments, quote, ...rest } = fields;
  return {
    ...rest, ...(isPlain ? { text } : { html }), quote: quote && { message_id: quote.message_id, kind: quote.kind, include: isPlain ? "text" : "html" },
    attachments: attachments.filter((file) => file.upload_id || file.n || file.message_id).map(({ upload_id, n, message_id, inline, content_id }) => (upload_id ? { upload_id, inline: Boolean(inline), content_id } : { message_id, n, inline: Boolean(inline), content_id })),
  };
}

// The draft `id`, or the draft whose present version is the message `id`, as lists have it.
export async function openDraft(id) {
  const { drafts } = await ask("GET", "/v1/drafts?limit=500");
  const draftId = drafts.find((one) => one.message.id === id)?.id ?? id;
  return draftOf(await request("GET", `/v1/drafts/${draftId}`));
}

// The draft of a mail that was taken back, once it has arrived; null: not in time.
export const returnedDraft = async (id) => { const found = await arrived(id); return found && draftOf(found); };

async function arrived(id) {
  for (let tries = 0; tries < RETURN_TRIES; tries += 1) {
    const found = await request("GET", `/v1/drafts/${id}`).catch(() => null);
    if (found) return found;
    await new Promise((resolve) => { setTimeout(resolve, RETURN_MS); });
  }
  return null;
}

function draftOf({ body, headers }) {
  const fields = {
    identity_id: body.identity_id, to: body.to, cc: body.cc, bcc: body.bcc, subject: body.subject, html: body.html ?? "", text: body.text ?? "", isPlain: body.html === null && Boolean(body.text),
    attachments: body.attachments.map((file) => ({ ...file, state: "done" })), quote: body.quote, in_reply_to: body.in_reply_to, forward_of: body.forward_of,
  };
  return new Draft(fields, { id: body.id, clientId: body.client_id ?? crypto.randomUUID(), etag: headers.get("ETag") });
}

// --- answers ---

const prefixed = (prefix, subject) => (new RegExp(`^${prefix}:`, "i").test(subject) ? subject : `${prefix}: ${subject}`.trim());
const isOwn = (one) => me.value.addresses.some((own) => own.toLowerCase() === one.address.toLowerCase());

// Fields of an answer to `message` with its `body`: kind reply, replyAll or forward.
export function answerTo(kind, message, body) {
  const identity = identities.value.find((one) => [...message.to, ...(body?.cc ?? [])].some((to) => to.address.toLowerCase() === one.address.toLowerCase()));
  const base = { identity_id: identity?.id ?? null, html: signed(identity), quote: { message_id: message.id, kind: kind === "forward" ? "forward" : "reply" } };
  if (kind === "forward") {
    const files = (body?.attachments ?? []).map((file) => ({ message_id: message.id, n: file.n, filename: file.filename, size_bytes: file.size_bytes, content_type: file.content_type, state: "done" }));
    return { ...base, subject: prefixed("Fwd", message.subject), forward_of: message.id, attachments: files };
  }
  const own = isOwn(message.from), authors = body?.reply_to?.length ? body.reply_to : [message.from];
  const to = own ? message.to : authors;
  const others = kind === "replyAll" ? [...message.to, ...(body?.cc ?? [])].filter((one) => !isOwn(one) && !to.some((known) => known.address === one.address)) : [];
  return { ...base, subject: prefixed("Re", message.subject), to, cc: own ? (kind === "replyAll" ? body?.cc ?? [] : []) : others, in_reply_to: message.id };
}

export function signed(identity = identities.value.find((one) => one.is_default)) {
  return identity?.signature_html ? `<div><br></div><div><br></div><div>-- </div>${identity.signature_html}` : "";
}

// What a person might have forgotten: words for a question, or null.
export function doubts(fields) {
  if (!fields.subject.trim()) return t("send.noSubject");
  const text = fields.isPlain ? fields.text : fields.html.replace(/<[^>]+>/g, " ");
  if (!fields.attachments.length && /\b(attach(ed|ment|ing)?|enclosed)\b|첨부/i.test(text)) return t("send.noFile");
  return null;
}
