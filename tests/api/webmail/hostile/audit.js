// What a document of a mail must not contain, as the browser has parsed it. Returns one line for each fault.
// The document: `html` parsed, or that of the frame in the article `id`, or the page itself.
({ refusedTags, allowedAttributes, html, id, text = "" }) => {
  const isShown = html === undefined, faults = new Set(), refused = new Set(refusedTags), allowed = new Set(allowedAttributes);
  const root = !isShown ? new DOMParser().parseFromString(html, "text/html")
    : id ? document.querySelector(`article[data-id="${id}"] iframe.mail`).contentDocument : document;
  if (!root.body.textContent.includes(text)) faults.add("no text");
  for (const node of root.body.querySelectorAll("*")) {
    if (refused.has(node.localName) || node.namespaceURI !== "http://www.w3.org/1999/xhtml") faults.add(`element ${node.localName}`);
    for (const { name } of node.attributes) if (!allowed.has(name)) faults.add(`attribute ${name} of ${node.localName}`);
    if (node.localName === "a" && node.hasAttribute("href")) {
      const isWithin = node.getAttribute("href").startsWith("#mail-");
      if (!isWithin && !["http:", "https:", "mailto:"].includes(node.protocol)) faults.add(`link to ${node.protocol}`);
      if (isShown && node.origin === location.origin && !isWithin) faults.add(`link to ${node.pathname} of our own`);
    }
    if (node.src && !/(^|\/)attachments\/\d+\?inline=true$/.test(node.src)) faults.add(`source ${node.src}`);
    if (node.id && !node.id.startsWith("mail-")) faults.add(`id ${node.id}`);
    if (isShown && root.defaultView.getComputedStyle(node).position !== "static") faults.add(`position of ${node.localName}`);
  }
  for (const sheet of root.styleSheets) {
    for (const rule of sheet.cssRules) if (rule.constructor.name !== "CSSStyleRule") faults.add(`rule ${rule.cssText}`);
    if (/url|image|:\s*var/i.test([...sheet.cssRules].map((rule) => rule.cssText).join())) faults.add("url in the sheet");
  }
  return [...faults];
}
