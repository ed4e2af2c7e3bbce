// A list as the server has it, by position: rows are read where they are looked at.
// A change of the mailbox makes the window be read again, never the whole list.

import { signal } from "../vendor/preact.js";
import { ask } from "../wire.js";
import { keepsCopies, keptAt } from "./device.js";
import { busy, idle, waiting } from "./state.js";

export const PAGE = 100;
const MARGIN = 10; // rows read again on each side of the window, which draws some of them
const READ_MAX = 500; // of one request
export const ROWS_MAX = 200_000; // positions that the server gives

const FILTERS = { unread: "unread=true", starred: "flagged=true" };
const MESSAGE_LISTS = new Set(["sent", "drafts"]); // rows show recipients, which conversations lack

// `query`: { kind: folder | all | starred | label | search, folder, filter, q, conversations }
export class RowList {
  constructor(query) {
    this.query = query;
    this.base = []; // rows as the server says
    this.baseTotal = null;
    this.state = undefined; // of the mailbox, when the oldest of the rows were read
    this.own = new Map(); // row id → the change of it that is on its way; null: it leaves the list
    this.rows = []; // as shown: with the changes that are on their way or wait for the server
    this.total = null;
    this.isShort = false; // a search: `total` grows as rows are read
    this.cursor = undefined;
    this.details = {}; // of a search: found, isExact, isComplete, terms
    this.placed = []; // what frames said since the list was asked for: arguments of `place`
    this.version = signal(0); // of the rows as shown
    this.count = signal(null); // `total`
    this.error = signal(null);
    this.places = new Map(); // row id → position
    this.waiting = new Map(); // page → promise
    this.refreshed = Promise.resolve(); // when the last reading of the window has ended
    this.round = 0;
  }

  // What reads this is drawn again when the number of rows changes, and of a search whatever is said of it.
  get counted() { return (this.query.kind === "search" ? this.version : this.count).value; }

  get byMessage() { return !this.query.conversations || MESSAGE_LISTS.has(this.query.folder); }

  // Reads what is missing of the rows from `from` to `to`.
  async want(from, to) {
    if (this.query.kind === "search") return this.#more(to);
    const last = Math.min(to, (this.total ?? to + 1) - 1);
    for (let page = Math.floor(from / PAGE); page <= Math.floor(Math.max(from, last) / PAGE); page += 1) {
      if (!this.waiting.has(page) && !this.#has(page)) this.waiting.set(page, this.#read(page * PAGE, PAGE, page));
    }
    await Promise.all(this.waiting.values());
  }

  #has(page) {
    if (this.total === null) return false;
    const end = Math.min((page + 1) * PAGE, this.total);
    for (let at = page * PAGE; at < end; at += 1) if (!this.rows[at]) return false;
    return true;
  }

  async #read(position, limit, page) {
    const round = this.round;
    try {
      const answer = await ask("GET", this.#path(`position=${position}&limit=${limit}`));
      if (round === this.round) this.put(position, answer);
    } catch (error) {
      await this.#unanswered(error, round);
    } finally {
      if (this.waiting.get(page) && round === this.round) this.waiting.delete(page);
    }
  }

  // Reads the pages of the window again and forgets rows outside of them, which may have moved. Calls `before` when the
  // answer is there, before rows change.
  refresh(from, to, before) {
    if (this.query.kind !== "search") this.refreshed = this.#refresh(from, to, before);
    return this.refreshed;
  }

  async #refresh(from, to, before) {
    const round = ++this.round;
    this.waiting.clear();
    this.placed = [];
    const start = Math.floor(Math.max(0, from - MARGIN) / PAGE) * PAGE;
    const limit = Math.min(READ_MAX, Math.ceil((to + MARGIN - start) / PAGE) * PAGE);
    try {
      const answer = await ask("GET", this.#path(`position=${start}&limit=${limit}`));
      if (round !== this.round || busy.peek()) return; // it is read again after the change
      before();
      this.#empty();
      this.put(start, answer);
    } catch (error) {
      if (round === this.round && !busy.peek()) this.own.clear();
      await this.#unanswered(error, round);
    }
  }

  // Begins with the first page alone: an answer, or a copy of this device.
  start(page) {
    this.round += 1;
    this.waiting.clear();
    this.#empty();
    if (page.rows) this.#restore(page);
    else this.put(0, page);
  }

  #empty() {
    this.own.clear();
    this.base = [];
    this.state = undefined;
  }

  // Where the service is away and nothing was read yet, the copy on this device is shown.
  async #unanswered(error, round) {
    const copy = error.isAway && this.baseTotal === null ? await keptAt("lists", this.key) : null;
    if (round !== this.round) return;
    if (copy) return this.#restore(copy);
    this.error.value = error;
    if (this.baseTotal !== null) this.derive();
  }

  #restore({ rows }) {
    this.base = rows;
    this.baseTotal = rows.length; // others are not here
    this.derive();
  }

  put(position, answer) {
    rowsOf(answer).forEach((row, index) => { this.base[position + index] = row; });
    this.baseTotal = Math.min(answer.total, ROWS_MAX);
    this.base.length = Math.min(this.base.length, this.baseTotal);
    if (!this.state || this.isAt(answer.state)) this.state = answer.state;
    this.error.value = null;
    this.derive();
    this.#placeAgain();
    if (position === 0 && keepsCopies()) idle().then(() => import("./copies.js")).then(({ keepList }) => keepList(this.key, this.base));
  }

  // What is shown: what the server says, with the changes that it lacks. Those of a search stay, since it is not read again.
  derive() {
    const changes = waiting.peek(), rows = [];
    let gone = 0;
    this.base.forEach((row, at) => {
      const own = this.own.get(row.id), shown = own === null ? null : changes.length ? changed(row, changes, this.query) : row;
      if (shown) rows[at - gone] = this.#known(own ? { ...shown, ...own } : shown);
      else gone += 1;
      if (shown === row && !own) this.base[at] = rows[at - gone]; // compared once
    });
    this.rows = rows;
    this.total = this.baseTotal - gone;
    this.#index();
  }

  // The row as it is shown already where nothing of it has changed: its node stays.
  #known(row) {
    const known = this.rows[this.places.get(row.id)];
    return known && known !== row && shownOf(known) === shownOf(row) ? known : row;
  }

  // Whether frames say all of this list: it has conversations, and no filter.
  get isPlain() { return !this.byMessage && !this.query.filter && ["folder", "all"].includes(this.query.kind); }

  // Puts the row of a conversation where it belongs, as a frame of the step `seq` has it; null: it has left the list.
  // Nothing is done where the list was read later, or the row belongs beside rows that were not read. Returns whether the
  // list is right then: what was not read may have had the conversation too.
  place(id, row, seq) {
    if (!this.isPlain || this.baseTotal === null || this.base.length > READ_MAX) return false;
    const base = this.base.slice(), was = base.findIndex((one) => one?.id === id), known = base[was];
    if (Math.max(this.state?.split("-")[1] ?? 0, known?.changed_seq ?? 0) > (row?.changed_seq ?? seq)) return false;
    const isAll = base.length === this.baseTotal && !base.includes(undefined);
    if (known) base.splice(was, 1);
    if (row) {
      const older = base.findIndex((one) => one?.received_at <= row.received_at), to = older < 0 && isAll ? base.length : older;
      if (to < 0 || to > 0 && !base[to - 1]) return false;
      base.splice(to, 0, ...rowsOf({ threads: [row] }));
    }
    this.baseTotal += base.length - this.base.length;
    this.base = base;
    this.placed.push([id, row, seq]);
    if (!busy.peek()) this.own.delete(id);
    if (row || known) this.derive();
    return isAll || Boolean(known) || row?.count === 1;
  }

  // Frames may be faster than an answer that does not know of them.
  #placeAgain() {
    const read = Number(this.state.split("-")[1]), later = this.placed.filter(([, , seq]) => seq > read);
    this.placed = [];
    for (const one of later) this.place(...one);
  }

  // Whether all of the list was read at `state` of the mailbox, or later.
  isAt(state) {
    const [[epoch, seq], [own, ownSeq]] = [state, this.state ?? ""].map((one) => one.split("-"));
    return epoch === own && Number(ownSeq) >= Number(seq);
  }

  #index() {
    this.places.clear();
    this.rows.forEach((row, position) => this.places.set(row.id, position));
    this.count.value = this.total;
    this.version.value += 1;
  }

  async #more(to) {
    if (this.cursor === null || to < this.rows.length && this.cursor !== undefined || this.waiting.has("search")) return;
    const { q, order } = this.query;
    const rest = this.cursor ? `&cursor=${encodeURIComponent(this.cursor)}` : "";
    const sorted = order ? `&order=${order}` : "", grouped = this.byMessage ? "" : "&threads=true";
    const zone = encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone);
    const reading = ask("GET", `/v1/search?q=${encodeURIComponent(q)}&limit=${PAGE / 2}&tz=${zone}${sorted}${grouped}${rest}`);
    this.waiting.set("search", reading);
    try {
      const answer = await reading, known = new Set(this.base.map((row) => row.id));
      this.base.push(...rowsOf(answer).filter((row) => !known.has(row.id))); // a conversation may have hits on several pages
      this.cursor = answer.next_cursor;
      this.baseTotal = this.base.length;
      this.details = { found: answer.total, isExact: answer.total_is_exact, isComplete: answer.is_complete, terms: answer.terms };
      this.error.value = null;
    } catch (error) {
      this.cursor ??= null;
      this.baseTotal ??= 0;
      this.error.value = error;
    } finally {
      this.waiting.delete("search");
      this.derive();
    }
  }

  #path(page) {
    const { kind, folder, filter } = this.query;
    const what = this.byMessage ? "messages" : "threads";
    const where = kind === "folder" ? `/v1/folders/${folder}/${what}` : `/v1/${what}`;
    const conditions = [page];
    if (kind === "starred") conditions.push(FILTERS.starred);
    if (kind === "label") conditions.push(`keyword=${encodeURIComponent(folder)}`);
    if (FILTERS[filter] && !(kind === "starred" && filter === "starred")) conditions.push(FILTERS[filter]);
    return `${where}?${conditions.join("&")}`;
  }

  // Takes rows out at once, before the server has answered. Returns the smallest position of them.
  remove(ids) {
    const gone = [...ids].map((id) => this.places.get(id)).filter((at) => at !== undefined).sort((a, b) => b - a);
    for (const at of gone) {
      this.own.set(this.rows[at].id, null);
      this.rows.splice(at, 1);
    }
    this.total -= gone.length;
    this.#index();
    return gone.at(-1) ?? 0;
  }

  patch(id, change) {
    const at = this.places.get(id);
    if (at === undefined) return;
    this.rows[at] = { ...this.rows[at], ...change };
    this.own.set(id, { ...this.own.get(id), ...change });
    this.version.value += 1;
  }

  // Whether a message of `folderIds` can be in this list.
  covers(folderIds) {
    const { kind, folder } = this.query;
    if (kind === "folder") return folderIds.includes(folder);
    return isListed(folderIds);
  }

  rowOfThread(threadId) { return this.byMessage || this.query.kind === "search" ? this.rows.find((row) => row?.thread_id === threadId) : this.rows[this.places.get(threadId)]; }
}

const shownOf = ({ changed_seq: _, ...row }) => JSON.stringify(row); // that of a conversation is the mailbox's

const rowsOf = ({ threads, messages }) => (threads ? threads.map((row) => ({ ...row, thread_id: row.id })) : messages.map(rowOf));

// A message in the shape of a conversation's row.
export function rowOf(message) {
  return {
    id: message.id, thread_id: message.thread_id, latest_id: message.id, message_ids: [message.id], message,
    folder_ids: message.folder_ids, subject: message.subject, preview: message.preview, count: 1,
    unread: message.unread ? 1 : 0, flagged: message.flagged, has_attachments: message.has_attachments,
    has_draft: message.folder_ids.includes("drafts"), keywords: message.keywords, received_at: message.received_at,
    people: [{ ...message.from, unread: message.unread }], to: message.to, highlights: message.highlights,
  };
}

const isListed = (folderIds) => folderIds.some((id) => id !== "junk" && id !== "trash");

// The row with `changes`, each of which has the ids of its messages; null: it leaves the list.
function changed(row, changes, { kind, folder }) {
  const places = new Set(kind === "folder" ? [folder] : row.folder_ids);
  let shown = row;
  for (const { ids, change } of changes) {
    const hits = row.message_ids.filter((id) => ids.has(id)).length, isAll = hits === row.message_ids.length;
    if (!hits) continue;
    shown = { ...shown, ...flagsOf(shown, change, isAll, hits) };
    if (!isAll) continue;
    if (change.isDestroyed) return null;
    change.remove_folder_ids?.forEach((id) => places.delete(id));
    change.add_folder_ids?.forEach((id) => places.add(id));
  }
  const stays = kind === "folder" ? places.has(folder) : isListed([...places]) || !isListed(row.folder_ids); // a search finds those too
  return stays ? shown : null;
}

function flagsOf(row, { unread, flagged, keywords = {} }, isAll, hits) {
  const kept = row.keywords.filter((one) => keywords[one] !== false), added = Object.keys(keywords).filter((one) => keywords[one] && !kept.includes(one));
  return {
    unread: unread === undefined ? row.unread : unread ? Math.max(1, row.unread) : isAll ? 0 : Math.max(0, row.unread - hits),
    flagged: flagged === undefined || !flagged && !isAll ? row.flagged : flagged, keywords: [...kept, ...added],
  };
}
