// Limits of sending of a user, or of each user of a domain, in a form.

import { html } from "../vendor/preact.js";
import { t } from "../words.js";

const NAMES = ["mails", "recipients"].flatMap((what) => ["minute", "hour", "day"].map((period) => `${what}_per_${period}`));

export const LimitFields = ({ limits }) => NAMES.map((name) => html`<label key=${name}>${t(`admin.limits.${name}`)}<input type="number" name=${name} min="0" max="10000000" defaultValue=${limits[name] ?? ""} /></label>`);

// The change that a form asks for: what is empty is not set here.
export const limitsOf = ({ elements }) => ({ reset: true, ...Object.fromEntries(NAMES.filter((name) => elements[name].value !== "").map((name) => [name, Number(elements[name].value)])) });
