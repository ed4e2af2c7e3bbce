// What waits for the service: changes of mail and mails to send, in the order in which they were made. One tab at a time
// carries them out when the service answers again. Each is safe to repeat: a change sets what it names, a mail has its
// Idempotency-Key.

import { t } from "../words.js";
import { Failure, ask } from "../wire.js";
import { keep, keepForSending, kept, lastUser, release } from "./device.js";
import { afterChange, connection, openComposer, outbox, session, toast } from "./state.js";
import { readOutbox, tellTabs } from "./account.js";
import { reloadAll } from "./threads.js";

const KEY_KNOWN_MS = 23 * 3_600_000; // the service knows an Idempotency-Key for 24 hours
const RETRY_MS = 5000;
const TRIES = 3;
const LATER = new Set([401, 408, 429, 503]); // of the service: not now
let newest = 0;

function nextKey() {
  newest = Math.max(Date.now(), newest + 1);
  return `${String(newest).padStart(15, "0")} ${crypto.randomUUID()}`;
}

// Makes a change now, or keeps it until the service is back. Returns the ids that it changes. Raises Failure: refused,
// or the service is away and this device keeps nothing.
export async function carryOut(entry) {
  if (!outbox.value.length) {
    try {
      return changedIds((await make(entry)).outcomes);
    } catch (error) {
      if (!error.isAway) throw error;
      if (await keep("outbox", nextKey(), entry) === null) throw error;
    }
  } else {
    await keep("outbox", nextKey(), entry); // after those that wait
  }
  await changed();
  if (connection.value.state === "live") flush();
  return entry.ids;
}

const make = ({ ids, change }) => (change.isDestroyed ? ask("POST", "/v1/messages/delete", { ids }) : ask("PATCH", "/v1/messages", { ids, ...change }));
const changedIds = (outcomes) => outcomes.filter((one) => !["unchanged", "not_found", "refused", "conflict"].includes(one.outcome)).map((one) => one.id);

// Keeps a mail that is sent when the service is back. `first`: of its draft, { clientId, id, etag, fields }.
export async function sendLater(body, idempotencyKey, first) {
  const key = nextKey(), entry = { send: { body, idempotencyKey, triedAt: Date.now() }, draft: first };
  if (await keepForSending(key, entry, first.clientId) === null) return null;
  await changed();
  return key;
}

// A draft on the server is deleted when the service is back.
export const discardLater = async (id) => await keep("outbox", nextKey(), { discard: id }) !== null && changed();
const ifThere = (error) => { if (error.status !== 404) throw error; };

// Takes a mail out again: it is a draft, and open.
export async function takeBack(key) {
  const entry = outbox.value.find((one) => one.key === key);
  if (!entry) return toast(t("sent.tooLate"));
  await reopen(entry);
  return changed();
}

async function reopen({ key, draft: { clientId, ...draft } }) {
  await keep("drafts", clientId, { ...draft, at: Date.now() });
  await release("outbox", key);
  openComposer({ restored: { key: clientId, ...draft } });
}

async function changed() {
  await readOutbox();
  tellTabs("outbox");
}

// --- when the service is back ---

let last = Promise.resolve();
export function flush() {
  last = last.catch(() => {}).then(() => (navigator.locks ? navigator.locks.request(`outbox ${lastUser()}`, work) : work()));
  return last;
}

async function work() {
  await readOutbox();
  while (outbox.value.length && session.value === "in") {
    const [entry] = outbox.value;
    try {
      if (entry.send) await send(entry);
      else if (entry.discard) await ask("DELETE", `/v1/drafts/${entry.discard}`).catch(ifThere);
      else await makeAll(entry);
      await release("outbox", entry.key);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (LATER.has(error.status)) setTimeout(flush, RETRY_MS);
      if (error.isAway || LATER.has(error.status)) return;
      await refused(entry, error);
    }
    await changed();
  }
  afterChange.value = { isMade: true };
}

// A message that changed while the service looked at it is asked for again.
async function makeAll(entry) {
  let { ids } = entry, lost = [];
  for (let tries = 0; ids.length && tries < TRIES; tries += 1) {
    const { outcomes } = await make({ ...entry, ids });
    lost = [...lost, ...outcomes.filter((one) => one.outcome === "refused")];
    ids = outcomes.filter((one) => one.outcome === "conflict").map((one) => one.id);
  }
  if (lost.length + ids.length) toast(t("outbox.refused", { n: lost.length + ids.length, why: lost[0]?.detail ?? "" }), { kind: "error" });
}

async function send({ send: { body, idempotencyKey, triedAt }, draft }) {
  if (Date.now() - triedAt > KEY_KNOWN_MS) throw new Failure(410, t("outbox.tooOld"));
  const answer = await ask("POST", "/v1/messages", body, { "Idempotency-Key": idempotencyKey });
  const { said } = await import("../compose/sending.js");
  said(answer, body, draft.fields);
}

async function refused(entry, error) {
  if (entry.send) {
    toast(t("failed.send", { why: error.message }), { kind: "error" });
    return reopen(entry);
  }
  toast(t("failed.change", { why: error.message }), { kind: "error" });
  reloadAll();
  return release("outbox", entry.key);
}

// Drafts that were closed without the service; those that are open save themselves.
export async function saveDrafts() {
  const { Draft } = await import("../compose/draft.js");
  for (const { key, id, etag, fields } of await kept("drafts")) {
    const draft = new Draft(fields, { id, clientId: key, etag });
    await alone(key, () => draft.saveAgain());
  }
}

// Does `work` unless the draft is open, here or in another tab.
const alone = (key, work) => (navigator.locks ? navigator.locks.request(`draft ${key}`, { ifAvailable: true }, (lock) => lock && work()) : work());
