// The files of the page: their addresses, which have its version, and style sheets of parts that are loaded later.

const ROOT = new URL(".", import.meta.url).pathname;
export const VERSION = ROOT.split("/")[2];
export const fileAt = (name) => ROOT + name;

export function addSheet(name) {
  const sheet = document.createElement("link");
  Object.assign(sheet, { rel: "stylesheet", href: fileAt(`css/${name}.css`) });
  document.head.append(sheet);
}
