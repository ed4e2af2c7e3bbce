// Frames for the HTML of mails, and those of mails that are likely to be opened next: their documents are loaded in hidden
// frames, and a browser that can move a frame with its document (moveBefore) only has to show it then.

import { effect } from "../vendor/preact.js";
import { me } from "../store/state.js";

const SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox";
const AHEAD_MAX = 3;
const ahead = new Map(); // address → frame, oldest first

const store = document.createElement("div");
store.className = "frames-ahead";
store.inert = true;
document.body.append(store);

effect(() => { if (!me.value) for (const address of [...ahead.keys()]) drop(address); }); // signed out, or another user

export const viewOf = (messageId, { pictures = false } = {}) => `/v1/messages/${messageId}/view${pictures ? "?images=true" : ""}`;

export function loadAhead(messageId) {
  const address = viewOf(messageId);
  if (!store.moveBefore || navigator.connection?.saveData || document.querySelector(`iframe[src="${address}"]`)) return;
  const shown = document.querySelector(".conversation iframe.mail"), frame = newFrame();
  if (shown) store.style.width = `${shown.clientWidth}px`;
  frame.src = address; // before it is in the document: else it loads an empty one first
  store.append(frame);
  ahead.set(address, frame);
  if (ahead.size > AHEAD_MAX) drop(ahead.keys().next().value);
}

// The frame of the document at `address`, at the end of `place`, which is in the page. Its document may be there already.
export function frameIn(place, address) {
  let frame = ahead.get(address);
  if (frame && !isEmpty(frame)) {
    ahead.delete(address);
    place.moveBefore(frame, null);
  } else {
    drop(address);
    frame = newFrame();
    frame.src = address;
    place.append(frame);
  }
  frame.className = "mail";
  return frame;
}

// Whether the document is there, but nothing is in it, as without the service.
export const isEmpty = (frame) => isThere(frame) && !frame.contentDocument.body?.hasChildNodes();

// Nothing may ask for the document of a frame before its load: the browser would prepare the empty one for scripts.
export const isThere = (frame) => there.has(frame) && frame.contentDocument?.readyState === "complete";
const there = new WeakSet(); // frames whose document was loaded

function newFrame() {
  const frame = document.createElement("iframe");
  frame.addEventListener("load", () => there.add(frame));
  frame.sandbox = SANDBOX;
  frame.referrerPolicy = "no-referrer";
  return frame;
}

function drop(address) {
  ahead.get(address)?.remove();
  ahead.delete(address);
}
