// The editor of formatted text: Squire, whose HTML is what is sent. No colours and no fonts,
// so a mail is readable in the dark; what is pasted is cleaned by DOMPurify.

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { t } from "../words.js";
import { IconButton } from "../shell/parts.js";

const CLEAN = { RETURN_DOM_FRAGMENT: true, FORBID_ATTR: ["style", "class", "id", "bgcolor", "color", "face"], FORBID_TAGS: ["style", "form", "input", "button", "font", "iframe", "object"] };
const TOOLS = [
  ["bold", "bold", "B", (editor, on) => (on ? editor.removeBold() : editor.bold())],
  ["italic", "italic", "I", (editor, on) => (on ? editor.removeItalic() : editor.italic())],
  ["underline", "underline", "U", (editor, on) => (on ? editor.removeUnderline() : editor.underline())],
  ["strikethrough", "strike", "S", (editor, on) => (on ? editor.removeStrikethrough() : editor.strikethrough())],
  ["list", "list", "UL", (editor, on) => (on ? editor.removeList() : editor.makeUnorderedList())],
  ["list-ordered", "ordered", "OL", (editor, on) => (on ? editor.removeList() : editor.makeOrderedList())],
  ["quote", "quote", "BLOCKQUOTE", (editor, on) => (on ? editor.decreaseQuoteLevel() : editor.increaseQuoteLevel())],
  ["code", "code", "CODE", (editor) => editor.toggleCode()],
];

export function Editor({ value, onChange, onFiles, autofocus }) {
  const root = useRef(), editor = useRef(), [active, setActive] = useState(new Set());
  useEffect(() => {
    let made = null, isGone = false;
    import("../vendor/editor.js").then(({ Squire, DOMPurify }) => {
      if (isGone) return;
      made = editor.current = new Squire(root.current, { blockTag: "DIV", sanitizeToDOMFragment: (text) => DOMPurify.sanitize(text, CLEAN), addLinks: true });
      made.setHTML(value || "<div><br></div>");
      made.moveCursorToStart();
      made.addEventListener("input", () => onChange(made.getHTML()));
      made.addEventListener("pathChange", () => setActive(new Set(TOOLS.filter(([, , tag]) => made.hasFormat(tag)).map(([icon]) => icon))));
      made.addEventListener("pasteImage", (event) => onFiles([...(event.detail.clipboardData?.files ?? [])]));
      if (autofocus) made.focus();
      root.current.dataset.ready = "true";
    });
    return () => { isGone = true; made?.destroy(); };
  }, []);
  const use = (run, isOn) => { run(editor.current, isOn); editor.current.focus(); };
  const link = () => {
    const present = editor.current.hasFormat("A");
    if (present) return use((one) => one.removeLink());
    const address = prompt(t("editor.linkAddress"), "https://");
    if (address && /^(https?:|mailto:)/.test(address)) use((one) => one.makeLink(address));
    return undefined;
  };
  return html`
    <div class="editor" ref=${root} role="textbox" aria-multiline="true" aria-label=${t("compose.text")} contenteditable="true" onKeyDown=${(event) => { if ((event.ctrlKey || event.metaKey) && event.key === "k") { event.preventDefault(); event.stopPropagation(); link(); } }}></div>
    <div class="tools" role="toolbar" aria-label=${t("editor.format")}>
      ${TOOLS.map(([icon, name, , run]) => html`<${IconButton} icon=${icon} words=${t(`editor.${name}`)} aria-pressed=${active.has(icon)} onMouseDown=${(event) => event.preventDefault()} onClick=${() => use(run, active.has(icon))} />`)}
      <${IconButton} icon="link" words=${t("editor.link")} onMouseDown=${(event) => event.preventDefault()} onClick=${link} />
    </div>`;
}
