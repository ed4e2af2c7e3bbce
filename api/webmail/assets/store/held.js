// Reads which mail of the user waits for its time.

import { Failure, ask } from "../wire.js";
import { held, session } from "./state.js";

const UNDO_MAX_MS = 60_000; // what is held no longer may be undone, and has no time of its own
const PAGES_MAX = 20;
const SOON_MS = 50; // one reading for changes that follow each other

let timer = 0, isReading = false, isOld = false;

export function readHeld() {
  if (isReading) isOld = true;
  else timer ||= setTimeout(read, SOON_MS);
}

async function read() {
  [timer, isReading, isOld] = [0, true, false];
  try {
    const rows = await all();
    if (session.value !== "out") held.value = { rows: rows.filter(isScheduled).sort((a, b) => (a.held_until < b.held_until ? -1 : 1)), error: null };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    held.value = { ...held.value, error };
  } finally {
    isReading = false;
    if (isOld) readHeld();
  }
}

async function all() {
  const rows = [];
  let cursor = null;
  for (let page = 0; page < PAGES_MAX && (cursor || !page); page += 1) {
    const answer = await ask("GET", `/v1/submissions?status=held&limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    rows.push(...answer.submissions);
    cursor = answer.next_cursor;
  }
  return rows;
}

const isScheduled = ({ held_until: until, created_at: at }) => new Date(until) - new Date(at) > UNDO_MAX_MS;
