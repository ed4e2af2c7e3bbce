// Words in the user's language, and dates, numbers and sizes as that language writes them.

import { fileAt } from "./files.js";
import { setLanguage } from "./root.js";

const LANGUAGES = ["en", "ko"];
const DAY_MS = 86_400_000;
let words = {};
let current = "en", timeZone;
let plural = new Intl.PluralRules("en");
const parts = [""]; // folders with words: those of every screen, and those of parts that were loaded
const formats = new Map();

export const language = () => current;
export const zone = () => timeZone;

export const preferredLanguage = () =>
  [localStorage.getItem("language"), ...navigator.languages].map((tag) => tag?.slice(0, 2)).find((tag) => LANGUAGES.includes(tag)) ?? "en";

let wanted = "", loading = null; // the last language asked for, and its words on their way
export function loadWords(tag) {
  const known = LANGUAGES.includes(tag) ? tag : "en";
  if (known !== wanted) [wanted, loading] = [known, load(known).catch((error) => { wanted = ""; throw error; })];
  return loading;
}

async function load(known) {
  words = Object.assign({}, ...await Promise.all(parts.map((folder) => wordsOf(folder, known))));
  current = known; // with its words: what is drawn before is in the former language
  plural = new Intl.PluralRules(current);
  formats.clear();
  setLanguage(current);
}

const wordsOf = async (folder, tag) => (await fetch(fileAt(`${folder}words.${tag}.json`))).json();

// Adds the words of a part of the page that is loaded later.
export async function alsoWords(folder) {
  parts.push(folder);
  Object.assign(words, await wordsOf(folder, current));
}

export function useZone(name) { timeZone = name || undefined; formats.clear(); }

// The words of `key`; `{name}` in them is replaced by values.name, and values.n chooses the plural.
export function t(key, values = {}) {
  let text = words[key] ?? key;
  if (typeof text === "object") text = text[plural.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : values[name] ?? ""));
}

function format(name, make) {
  if (!formats.has(name)) formats.set(name, make());
  return formats.get(name);
}
const dates = (name, options) => format(name, () => new Intl.DateTimeFormat(current, { timeZone, ...options }));

export const number = (value) => format("number", () => new Intl.NumberFormat(current)).format(value);
const dayOf = (date) => dates("day", { year: "numeric", month: "2-digit", day: "2-digit" }).format(date);
const yearOf = (date) => dates("year", { year: "numeric" }).format(date);

// A time for a row: the hour today, the day this year, else the date.
export function shortDate(iso) {
  const date = new Date(iso), now = new Date();
  if (dayOf(date) === dayOf(now)) return dates("hour", { hour: "numeric", minute: "2-digit" }).format(date);
  if (yearOf(date) === yearOf(now)) return dates("short", { month: "short", day: "numeric" }).format(date);
  return dates("date", { year: "numeric", month: "numeric", day: "numeric" }).format(date);
}

export const fullDate = (iso) => dates("full", { dateStyle: "full", timeStyle: "short" }).format(new Date(iso));
export const monthYear = (iso) => dates("month", { year: "numeric", month: "long" }).format(new Date(iso));

// A time for the head of a message: with "2 hours ago" for a day.
export function headDate(iso) {
  const date = new Date(iso), ago = Date.now() - date;
  const text = dates("head", { dateStyle: "medium", timeStyle: "short" }).format(date);
  return ago >= 0 && ago < DAY_MS ? `${text} (${relative(ago)})` : text;
}

function relative(ago) {
  const formatter = format("relative", () => new Intl.RelativeTimeFormat(current, { numeric: "auto" }));
  const minutes = Math.round(ago / 60_000);
  return minutes < 60 ? formatter.format(-minutes, "minute") : formatter.format(-Math.round(minutes / 60), "hour");
}

export function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  let at = 0, value = bytes;
  while (value >= 1000 && at < 3) { value /= 1024; at += 1; }
  const digits = at > 0 && value < 10 ? 1 : 0;
  return format(`${units[at]}${digits}`, () => new Intl.NumberFormat(current, { style: "unit", unit: units[at], unitDisplay: at ? "short" : "long", maximumFractionDigits: digits })).format(value);
}

export const listOf = (parts) => format("list", () => new Intl.ListFormat(current, { type: "conjunction" })).format(parts);
