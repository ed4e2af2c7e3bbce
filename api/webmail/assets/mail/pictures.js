// Pictures of a mail from elsewhere: not loaded, or by the server's proxy, once or always for a sender.

import { html, useSignal } from "../vendor/preact.js";
import { t } from "../words.js";
import { limits, settings } from "../store/state.js";
import { saveSettings } from "../store/account.js";

// Whether the frame of the message shows its pictures; the owner may ask for them.
export function usePictures(message, view) {
  const asked = useSignal(false), { remote_images: when, image_senders: senders } = settings.value;
  const can = limits.value.remote_images && view.remote_images > 0;
  const always = when === "senders" && senders.includes(message.from.address.toLowerCase());
  return { can: can && when !== "never", shown: can && (always || asked.value), show: () => { asked.value = true; } };
}

export function Pictures({ message, view, pictures }) {
  if (!view.remote_images || pictures.shown) return null;
  const address = message.from.address.toLowerCase();
  const trust = () => saveSettings({ remote_images: "senders", image_senders: [...new Set([...settings.value.image_senders, address])] });
  return html`<p class="hint">${t("remote.images", { n: view.remote_images })}
    ${pictures.can && html` <button type="button" class="quiet" onClick=${pictures.show}>${t("remote.show")}</button>
      ${address && html`<button type="button" class="quiet" onClick=${trust}>${t("remote.trust", { address })}</button>`}`}</p>`;
}
