// What is kept on this device, in a database of the user: drafts that the server lacks.

import { me } from "./state.js";

const STORES = ["drafts"];
let opening = null, owner = null;

function database() {
  const id = me.peek()?.id;
  if (!id) return Promise.resolve(null);
  if (owner !== id) [owner, opening] = [id, open(`postriver ${id}`)];
  return opening;
}

// Null where the browser keeps nothing, as in some private windows.
function open(name) {
  return new Promise((resolve) => {
    const asking = indexedDB.open(name, 1);
    asking.onupgradeneeded = () => STORES.forEach((store) => asking.result.createObjectStore(store));
    asking.onsuccess = () => resolve(asking.result);
    asking.onerror = () => resolve(null);
  });
}

async function run(store, mode, work) {
  const known = await database();
  if (!known) return null;
  return new Promise((resolve) => {
    const transaction = known.transaction(store, mode, { durability: "strict" }), asking = work(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(asking.result);
    transaction.onerror = () => resolve(null);
  });
}

export const keep = (store, key, value) => run(store, "readwrite", (rows) => rows.put(value, key));
export const release = (store, key) => run(store, "readwrite", (rows) => rows.delete(key));

export async function kept(store) {
  const [keys, values] = await Promise.all([run(store, "readonly", (rows) => rows.getAllKeys()), run(store, "readonly", (rows) => rows.getAll())]);
  return (keys ?? []).map((key, index) => ({ key, ...values[index] }));
}

// After signing out nothing of the user is left here.
export async function forgetDevice() {
  const known = await database();
  known?.close();
  if (owner) indexedDB.deleteDatabase(`postriver ${owner}`);
  [owner, opening] = [null, null];
}
