// What is kept on this device, in two databases of the user: what was written here and the server lacks, and copies of
// mail to read without the server. The copies go with the session, and with a sign-in that asks for none.

import { me } from "./state.js";

const OWN = { name: "postriver", version: 2, stores: ["drafts", "outbox"] };
const COPIES = { name: "postriver-mail", version: 1, stores: ["account", "lists", "threads"] };
const USER = "user", UNKEPT = "unkept"; // in localStorage
const opening = new Map(); // name → promise of the database

// The user of the last session here.
export const lastUser = () => me.peek()?.id ?? localStorage.getItem(USER);
export const keepsCopies = () => !localStorage.getItem(UNKEPT);

// After each start as `id`: from now on the copies are of this user only.
export function useDevice(id) {
  if (localStorage.getItem(USER) !== id) forgetCopies(id);
  localStorage.setItem(USER, id);
}

export function setKeepsCopies(keeps) {
  if (keeps) localStorage.removeItem(UNKEPT);
  else localStorage.setItem(UNKEPT, "1");
}

async function database(store) {
  const isCopy = COPIES.stores.includes(store), user = lastUser();
  if (!user || isCopy && !keepsCopies()) return null;
  const { name, version, stores } = isCopy ? COPIES : OWN, full = `${name} ${user}`;
  if (!opening.has(full)) opening.set(full, open(full, version, stores));
  return opening.get(full);
}

// Null where the browser keeps nothing, as in some private windows.
function open(name, version, stores) {
  return new Promise((resolve) => {
    const asking = indexedDB.open(name, version);
    asking.onupgradeneeded = () => stores.forEach((store) => {
      if (!asking.result.objectStoreNames.contains(store)) asking.result.createObjectStore(store);
    });
    asking.onsuccess = () => {
      asking.result.onversionchange = () => { asking.result.close(); opening.delete(name); }; // another tab signs out
      resolve(asking.result);
    };
    asking.onerror = asking.onblocked = () => resolve(null);
  });
}

// Runs `work` with the object stores in one transaction; null where nothing is kept.
async function run(stores, mode, work) {
  const known = await database(stores[0]);
  if (!known) return null;
  return new Promise((resolve) => {
    const durability = OWN.stores.includes(stores[0]) ? "strict" : "relaxed";
    const transaction = known.transaction(stores, mode, { durability }), asking = work(...stores.map((store) => transaction.objectStore(store)));
    transaction.oncomplete = () => resolve(asking?.result ?? null);
    transaction.onerror = transaction.onabort = () => resolve(null);
  });
}

export const keep = (store, key, value) => run([store], "readwrite", (rows) => rows.put(value, key));
export const release = (store, key) => run([store], "readwrite", (rows) => rows.delete(key));
export const keptAt = (store, key) => run([store], "readonly", (rows) => rows.get(key));

export async function kept(store) {
  const [keys, values] = await Promise.all([run([store], "readonly", (rows) => rows.getAllKeys()), run([store], "readonly", (rows) => rows.getAll())]);
  return (keys ?? []).map((key, index) => ({ key, ...values[index] }));
}

// Puts `value` into the outbox and takes the draft it was made of out of the drafts, both or neither.
export const keepForSending = (key, value, draft) => run(["outbox", "drafts"], "readwrite", (outbox, drafts) => {
  drafts.delete(draft);
  return outbox.put(value, key);
});

// --- forgetting ---

const drop = (name) => {
  opening.delete(name);
  return new Promise((resolve) => {
    const asking = indexedDB.deleteDatabase(name);
    asking.onsuccess = asking.onerror = asking.onblocked = resolve;
  });
};

async function closeAndDrop(name) {
  (await opening.get(name))?.close();
  await drop(name);
}

export const mailCache = (user = lastUser()) => `mail ${user}`;

// Deletes the copies of mail of everybody but `but`.
export async function forgetCopies(but = null) {
  const names = (await indexedDB.databases?.() ?? []).map((one) => one.name).filter((name) => name.startsWith(`${COPIES.name} `) && name !== `${COPIES.name} ${but}`);
  const caches_ = globalThis.caches ? (await caches.keys()).filter((name) => name.startsWith("mail ") && name !== mailCache(but)) : [];
  await Promise.all([...names.map(closeAndDrop), ...caches_.map((name) => caches.delete(name))]);
}

// After signing out nothing of the user is left here.
export async function forgetDevice(user) {
  localStorage.removeItem(USER); // first: nothing is written from here on
  await forgetCopies();
  await closeAndDrop(`${OWN.name} ${user}`);
}
