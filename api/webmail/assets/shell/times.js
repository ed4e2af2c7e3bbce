// Times to send at, as clocks in the user's zone show them.

import { zone } from "../words.js";

// What a clock shows at `date`: "2026-11-30T08:00".
export const wallTime = (date) => new Intl.DateTimeFormat("sv", { timeZone: zone(), dateStyle: "short", timeStyle: "short" }).format(date).replace(" ", "T");

const asUtc = (wall) => Date.parse(`${wall}Z`);

// When a clock shows `wall`. In the hour that a change of the clock leaves out: an hour later.
export function moment(wall) {
  const wanted = asUtc(wall), offset = (at) => asUtc(wallTime(new Date(at))) - at;
  const guess = wanted - offset(wanted);
  return new Date(wanted - offset(guess));
}

// Eight o'clock tomorrow, and on the next Monday.
export function mornings() {
  const today = asUtc(`${wallTime(new Date()).slice(0, 10)}T08:00`);
  const after = (days) => moment(new Date(today + days * 86_400_000).toISOString().slice(0, 16));
  return { tomorrow: after(1), monday: after((8 - new Date(today).getUTCDay()) % 7 || 7) };
}
