// Says which recipients a mail did not reach, and why: once for each of them.

import { listOf, t } from "../words.js";
import { ask } from "../wire.js";
import { toast } from "./state.js";

const NAMED_MAX = 3;
const said = new Set(); // submission and address

export async function sayFailed(submissionId) {
  const submission = await ask("GET", `/v1/submissions/${submissionId}`).catch(() => null), key = (one) => `${submissionId} ${one.address}`;
  const failed = submission?.recipients.filter((one) => one.status === "failed" && !said.has(key(one))) ?? [];
  if (!failed.length) return;
  failed.forEach((one) => said.add(key(one)));
  const names = failed.slice(0, NAMED_MAX).map((one) => one.address), more = failed.length > NAMED_MAX ? ["…"] : [];
  toast(t("sent.failed", { who: listOf([...names, ...more]), why: failed[0].detail || failed[0].code }), { kind: "error" });
}
