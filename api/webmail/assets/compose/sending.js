// Sending a draft, now or when the service is back, and what is said of it; taking a mail back.

import { headDate, t } from "../words.js";
import { Failure, ask } from "../wire.js";
import { closeComposer, openComposer, toast } from "../store/state.js";
import { sendLater, takeBack } from "../store/outbox.js";

// Sends the draft of a composer; `values`: { send_at }. A refused mail is open again.
export async function sendDraft(draft, composer, values) {
  await draft.keepHere();
  closeComposer(composer.key);
  const fields = draft.fields.value, first = { clientId: draft.clientId, id: draft.id, etag: draft.etag, fields };
  try {
    said(await draft.send(values), values, fields);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { body, idempotencyKey } = draft.request(values), key = error.isAway ? await sendLater(body, idempotencyKey, { ...first, fields: draft.kept }) : null;
    if (key) return toast(t("sent.later"), { action: { words: t("undo"), run: () => takeBack(key) } });
    toast(t("failed.send", { why: error.message }), { kind: "error" });
    openComposer({ restored: { key: draft.clientId, id: draft.id, etag: draft.etag, fields } });
  }
  return undefined;
}

// Says what became of a mail, with the way back while there is one.
export function said({ submission_id: id, held_until: until }, { send_at: at }, fields) {
  const left = until ? new Date(until) - Date.now() : 0, action = { words: t("undo"), run: () => cancel(id, fields) };
  if (at) toast(t("sent.scheduled", { at: headDate(at) }), { action });
  else if (left > 500) toast(t("sent.held", { n: Math.round(left / 1000) }), { ms: left, action });
  else toast(t("sent.done"));
}

// Takes a held mail back: it is a draft again, opened where it was left.
async function cancel(submissionId, fields) {
  const id = await takenBack(submissionId);
  if (id) openComposer({ canceled: { id, fields } });
}

// Takes a held mail back. Returns the id of the draft that it becomes; null if that is not possible, which it says.
export async function takenBack(submissionId) {
  try {
    return (await ask("DELETE", `/v1/submissions/${submissionId}`)).draft_id;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    toast(t(error.code === "too_late" ? "sent.tooLate" : "failed.change", { why: error.message }), { kind: "error" });
    return null;
  }
}
