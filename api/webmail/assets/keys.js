// Keys of the whole page. One table drives the keys, the list of keys (`?`) and the tooltips.

import { useLayoutEffect } from "./vendor/preact.js";
import { dialog, settings } from "./store/state.js";

const SEQUENCE_MS = 1500;
// What a key does has the name `act`; components give the functions by useActs().
export const KEYS = [
  { group: "list", act: "next", keys: ["j", "ArrowDown"] },
  { group: "list", act: "previous", keys: ["k", "ArrowUp"] },
  { group: "list", act: "open", keys: ["o", "Enter"] },
  { group: "list", act: "back", keys: ["u", "Escape"] },
  { group: "list", act: "select", keys: ["x"] },
  { group: "list", act: "extendDown", keys: ["J"] },
  { group: "list", act: "extendUp", keys: ["K"] },
  { group: "list", act: "selectAll", keys: ["* a"] },
  { group: "list", act: "selectNone", keys: ["* n"] },
  { group: "list", act: "selectUnread", keys: ["* u"] },
  { group: "list", act: "selectRead", keys: ["* r"] },
  { group: "list", act: "selectStarred", keys: ["* s"] },
  { group: "list", act: "selectUnstarred", keys: ["* t"] },
  { group: "list", act: "first", keys: ["Home"] },
  { group: "list", act: "last", keys: ["End"] },
  { group: "list", act: "pageDown", keys: ["PageDown"] },
  { group: "list", act: "pageUp", keys: ["PageUp"] },
  { group: "act", act: "archive", keys: ["e"] },
  { group: "act", act: "trash", keys: ["#", "Delete"] },
  { group: "act", act: "junk", keys: ["!"] },
  { group: "act", act: "star", keys: ["s"] },
  { group: "act", act: "read", keys: ["I"] },
  { group: "act", act: "unread", keys: ["U"] },
  { group: "act", act: "move", keys: ["v"] },
  { group: "act", act: "label", keys: ["l"] },
  { group: "act", act: "archiveNext", keys: ["]"] },
  { group: "act", act: "archivePrevious", keys: ["["] },
  { group: "act", act: "undo", keys: ["z"] },
  { group: "mail", act: "nextMessage", keys: ["n"] },
  { group: "mail", act: "previousMessage", keys: ["p"] },
  { group: "mail", act: "openAll", keys: [";"] },
  { group: "mail", act: "closeAll", keys: [":"] },
  { group: "mail", act: "reply", keys: ["r"] },
  { group: "mail", act: "replyAll", keys: ["a"] },
  { group: "mail", act: "forward", keys: ["f"] },
  { group: "go", act: "goInbox", keys: ["g i"] },
  { group: "go", act: "goStarred", keys: ["g s"] },
  { group: "go", act: "goSent", keys: ["g t"] },
  { group: "go", act: "goDrafts", keys: ["g d"] },
  { group: "go", act: "goAll", keys: ["g a"] },
  { group: "go", act: "goFolder", keys: ["g l"] },
  { group: "go", act: "search", keys: ["/"] },
  { group: "go", act: "compose", keys: ["c"] },
  { group: "go", act: "help", keys: ["?"] },
  { group: "go", act: "commands", keys: ["Ctrl+k"] },
];

const acts = new Map(); // name → stack of functions: the one bound last counts
let prefix = "", prefixAt = 0;

// Gives functions for acts of the table from the moment the component is shown until it goes.
export const useActs = (functions, inputs) => useLayoutEffect(() => bind(functions), inputs);

function bind(functions) {
  for (const [name, run] of Object.entries(functions)) acts.set(name, [...(acts.get(name) ?? []), run]);
  return () => {
    for (const [name, run] of Object.entries(functions)) acts.set(name, acts.get(name).filter((one) => one !== run));
  };
}

export const run = (name) => acts.get(name)?.at(-1)?.();
export const isBound = (name) => Boolean(acts.get(name)?.length);
export const keyOf = (name) => KEYS.find((row) => row.act === name)?.keys[0] ?? "";

const SHIFTED = { Digit1: "!", Digit3: "#", Digit8: "*", Semicolon: ":", Slash: "?" };
const PLAIN = { Semicolon: ";", Slash: "/", BracketLeft: "[", BracketRight: "]" };

// The key by its place where the layout has another script: `ㅓ` and `Process` are KeyJ.
export function nameOf(event) {
  const { key, code, shiftKey } = event;
  let name = key;
  if (key === "Process" || key === "Unidentified" || (key.length === 1 && key > "~")) {
    if (code.startsWith("Key")) name = shiftKey ? code[3] : code[3].toLowerCase();
    else name = (shiftKey ? SHIFTED : PLAIN)[code] ?? key;
  }
  return event.ctrlKey || event.metaKey ? `Ctrl+${name.toLowerCase()}` : name;
}

const writes = (node) => node?.isContentEditable || (/^(INPUT|TEXTAREA|SELECT)$/.test(node?.tagName) && !/^(checkbox|radio|button)$/.test(node.type));

export function handleKey(event) {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229 && writes(event.target)) return;
  if (dialog.value || event.altKey || document.querySelector("dialog[open]:modal, [popover]:popover-open")) return;
  const name = nameOf(event), isChord = name.startsWith("Ctrl+");
  if (writes(event.target) && !isChord) return;
  if (/^(Enter| )$/.test(name) && event.target.closest?.("a, button, summary")) return;
  if (name.length === 1 && !settings.value.single_keys) return;
  if (["g", "*"].includes(name) && !prefix) {
    [prefix, prefixAt] = [name, Date.now()];
    return;
  }
  const full = prefix && Date.now() - prefixAt < SEQUENCE_MS ? `${prefix} ${name}` : name;
  prefix = "";
  const row = KEYS.find((one) => one.keys.includes(full));
  if (!row || !isBound(row.act)) return;
  event.preventDefault();
  run(row.act);
}

addEventListener("keydown", handleKey);
