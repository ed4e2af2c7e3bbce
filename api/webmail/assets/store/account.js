// Signing in and out, settings, and the mailbox in step with the server by the socket.

import { signal } from "../vendor/preact.js";
import { language, loadWords, preferredLanguage, t, useZone } from "../words.js";
import { setLook } from "../root.js";
import { Failure, Line, ask, onUnauthorized } from "../wire.js";
import { announcement, composers, connection, folders, dialog, held, identities, idle, limits, me, nameOf, notice, openComposer, outbox, reset, session, setCounts, settings, toast } from "./state.js";
import { apply as applyToThreads, forget as forgetThreads, reloadAll, reloadCopies } from "./threads.js";
import { forgetCopies, forgetDevice, kept, keepsCopies, keptAt, lastUser, setKeepsCopies, useDevice } from "./device.js";
import { firstPage, followThread, followTo, forgetLists, keyOf, refreshSoon } from "../list/current.js";
import { go } from "../router.js";

let line = null, isConfirmed = false; // the service has said who is signed in
export const submissions = signal({}); // id → as the last frame says

// Shows the copy of this device or what the service says, whichever is there first; in the end what the service says.
export async function begin() {
  let answer = null;
  const asked = ask("GET", "/v1/start").then((start) => { answer = { start }; }, (error) => { answer = { error }; });
  const reading = readOutbox(), copying = session.value === "starting" && lastUser() ? readCopy() : null;
  await Promise.race([asked, copying ?? asked]);
  const copy = answer?.start ? null : await copying;
  if (copy && answer?.error?.status !== 401) await showCopy(copy, reading);
  await asked;
  const { start, error } = answer;
  if (start) return begun(start, reading);
  if (!(error instanceof Failure)) throw error;
  if (error.status === 401) return refused();
  if (copy) {
    connect(copy.state);
    return reopenDrafts();
  }
  notice.value = t("starting.failed", { why: error.message });
  return setTimeout(begin, 3000);
}

async function readCopy() {
  const [copy, inbox] = await Promise.all([keptAt("account", "account"), keptAt("lists", keyOf("/mail/inbox", true))]);
  return copy && { ...copy, inbox };
}

async function showCopy(copy, reading) {
  await show(copy);
  await reading;
  if (copy.inbox) firstPage(copy.inbox);
  session.value = "in";
}

async function show(start) {
  me.value = start.me;
  folders.value = start.folders;
  limits.value = start.limits ?? limits.value;
  await useSettings(start.settings);
}

async function begun(start, reading) {
  const isSame = start.me.id === lastUser();
  if (me.value && me.value.id !== start.me.id) forgetAll();
  useDevice(start.me.id);
  await show(start);
  await reading;
  if (!isSame) await readOutbox();
  firstPage(start.inbox);
  session.value = "in";
  notice.value = "";
  connect(start.state);
  confirmed();
  reopenDrafts();
}

// From here on the page keeps copies of what it reads, and may work without the service.
function confirmed() {
  isConfirmed = true;
  idle().then(() => import("./copies.js")).then(({ beginCopies }) => me.value && beginCopies(() => line?.since));
}

// The session has ended: there are no copies any more.
function refused() {
  forgetAll();
  session.value = "out";
  forgetCopies();
}

// Drafts that were not on the server when the browser ended are open again.
async function reopenDrafts() {
  const held = new Set((await navigator.locks?.query())?.held.map((lock) => lock.name)); // open, here or in another tab
  const found = (await kept("drafts")).filter((one) => !held.has(`draft ${one.key}`) && !composers.value.some((open) => open.restored?.key === one.key));
  if (!found.length) return;
  found.slice(-3).forEach((one) => openComposer({ restored: one }));
  toast(t("draft.restored", { n: found.length }));
}

async function useSettings(values) {
  settings.value = { ...settings.value, ...values };
  const { theme, zone } = settings.value;
  localStorage.setItem("theme", theme);
  setLook({ theme, density: settings.value.density });
  useZone(zone);
  if (settings.value.language) localStorage.setItem("language", settings.value.language);
  const before = language();
  await loadWords(preferredLanguage());
  if (language() !== before) settings.value = { ...settings.value };
  identities.value = settings.value.identities ?? [];
}

export async function saveSettings(values) {
  const before = settings.value;
  await useSettings(values);
  try {
    await ask("PATCH", "/v1/me/settings", values);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    await useSettings(before);
    toast(t("failed.settings", { why: error.message }), { kind: "error" });
  }
}

// --- the socket ---

function connect(state) {
  line?.stop();
  line = new Line(state, heard, says);
  line.open();
}

export const retry = () => line?.open();

function says(state, seconds) {
  if (state === "signed-out") return signedOut();
  if (state === "gone") return readAllAgain();
  const wasOff = connection.value.state === "off";
  connection.value = { state: state === "connecting" && wasOff ? "off" : state, seconds };
  // A refused handshake says nothing: whether the state is gone, or the session, another request says.
  if (state === "off") ask("GET", `/v1/changes?since=${encodeURIComponent(line.since)}&limit=1`).then(sendWaiting, (error) => { if (error.status === 410) readAllAgain(); });
  if (state !== "live") return;
  if (!isConfirmed) confirmed();
  if (watched.size) sayWatched();
  reloadCopies(wasOff);
  refreshSoon();
  readHeld();
  sendWaiting();
  if (!wasOff) return;
  import("./outbox.js").then(({ saveDrafts }) => saveDrafts());
  import("./copies.js").then(({ checkVersion }) => checkVersion());
}

// The session of the socket has ended; another tab may have replaced it by a new one.
const signedOut = () => ask("GET", "/v1/me").then(() => line && connect(line.since), (error) => { if (error.status !== 401) setTimeout(signedOut, 3000); });

const sendWaiting = () => outbox.value.length && import("./outbox.js").then(({ flush }) => flush());

// The feed has no way from our state to the present one: everything is read again.
async function readAllAgain() {
  const start = await ask("GET", "/v1/start").catch(() => null);
  if (session.value !== "in") return undefined;
  if (!start) return setTimeout(readAllAgain, 3000);
  folders.value = start.folders;
  await useSettings(start.settings);
  reloadAll();
  refreshSoon();
  connect(start.state);
  return undefined;
}

// Calls `then` with each frame of the type `what` until the function that it returns is called.
const watched = new Map();
export function watch(what, then) {
  watched.set(what, then);
  sayWatched();
  return () => { watched.delete(what); sayWatched(); };
}
const sayWatched = () => line?.send({ type: "watch", what: [...watched.keys()] });

let isChanged = false, isPlaced = null; // by frames of a step whose last one, with its state, is still to come

function heard(frame) {
  watched.get(frame.type)?.(frame);
  isChanged ||= frame.type === "change";
  if (frame.type === "thread") isPlaced = followThread(frame) && isPlaced !== false;
  if (isChanged && frame.state) {
    followTo(frame.state, isPlaced === true);
    [isChanged, isPlaced] = [false, null];
  }
  if (frame.folders) setCounts(frame.folders);
  if (frame.type === "settings") useSettings(frame.settings);
  if (frame.type === "folder") heardFolder(frame);
  if (frame.type === "submission") heardSubmission(frame.submission);
  if (frame.type !== "change") return;
  applyToThreads(frame.message, frame.change);
  if (frame.change === "destroyed" && keepsCopies()) import("./copies.js").then(({ forgetMessage }) => forgetMessage(frame.message.id));
  const { message } = frame;
  if (frame.change === "created" && message.unread && document.hidden) import("./notify.js").then(({ notify }) => notify(message));
  if (frame.change === "created" && message.unread && message.folder_ids?.includes("inbox")) {
    announcement.value = t("announce.new", { who: nameOf(message.from), subject: message.subject || t("no.subject") });
  }
}

function heardSubmission(submission) {
  submissions.value = { ...submissions.value, [submission.id]: submission };
  if (submission.status === "held" || held.value.rows.some(({ id }) => id === submission.id)) readHeld();
  if (["failed", "partial"].includes(submission.status)) import("./failures.js").then(({ sayFailed }) => sayFailed(submission.id), () => {});
}

const readHeld = () => import("./held.js").then((module) => module.readHeld(), () => {});

function heardFolder({ change, folder, folders: counts }) {
  const others = folders.value.filter((one) => one.id !== folder.id);
  const known = folders.value.find((one) => one.id === folder.id);
  folders.value = change === "destroyed" ? others : [...others, { total: 0, unread: 0, ...known, ...folder }];
  setCounts(counts);
}

// --- in and out ---

export async function signIn(address, password, remember = true) {
  await ask("POST", "/v1/login", { address, password, remember });
  setKeepsCopies(remember);
  if (session.value === "expired" && me.value?.address === address.trim().toLowerCase()) {
    session.value = "in";
    confirmed();
    return readAllAgain();
  }
  forgetAll();
  await begin();
}

// Asks first if something was not sent yet.
export async function signOut(isSure = false) {
  if (outbox.value.length && isSure !== true) {
    dialog.value = { name: "confirm", title: t("outbox.signOut"), text: t("outbox.lost", { n: outbox.value.length }), verb: t("signOut"), run: () => signOut(true) };
    return undefined;
  }
  try {
    await ask("POST", "/v1/logout");
  } catch (error) {
    if (error.status !== 401) return toast(t("failed.signOut", { why: error.message }), { kind: "error" });
  }
  const user = me.value.id;
  tellTabs("out");
  left();
  return forgetDevice(user);
}

function left() {
  forgetAll();
  go("/", { replace: true });
  notice.value = t("signedOut");
  session.value = "out";
}

// Makes a recent sign-in of this session. The socket waits: it is closed with the old session.
export async function confirmPassword(password) {
  const state = line?.since;
  line?.stop();
  try {
    await ask("POST", "/v1/me/confirm", { password });
  } finally {
    if (state) connect(state);
  }
}

// The session has ended: the page stays as it is under the sign-in, so that nothing is lost.
function expire() {
  if (session.value !== "in") return undefined;
  line?.stop();
  if (!isConfirmed) return refused();
  notice.value = t("signedOut.meanwhile");
  session.value = "expired";
  return undefined;
}
onUnauthorized(expire);

function forgetAll() {
  line?.stop();
  [line, isConfirmed] = [null, false];
  reset();
  forgetThreads();
  forgetLists();
  submissions.value = {};
}

addEventListener("online", () => { if (connection.value.state === "off") retry(); });

// --- other tabs of the user ---

const tabs = new BroadcastChannel("postriver");
export const tellTabs = (type) => tabs.postMessage({ type, user: me.peek()?.id });
tabs.onmessage = ({ data: { type, user } }) => {
  if (user !== me.peek()?.id) return;
  if (type === "out") left();
  if (type === "outbox") readOutbox();
};

// What waits for the service, as this device keeps it.
export async function readOutbox() {
  outbox.value = await kept("outbox");
}
