// Bundles the libraries of web-vendor/package.json into FOLDER, which the edge serves with the webmail.
// Run at installation by scripts/web.sh, in a folder where `npm ci` was run: node build.mjs FOLDER

import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const [folder] = process.argv.slice(2);
const MODULES = ["preact", "editor"];
const PACKAGES = ["preact", "@preact/signals", "@preact/signals-core", "htm", "squire-rte", "dompurify", "@iconify-json/lucide"];
const FILES = ["LICENSE", "LICENSE.md"];

for (const name of MODULES) {
  await build({
    entryPoints: [`${name}.js`], outfile: `${folder}/${name}.js`,
    bundle: true, minify: true, format: "esm", target: "es2022", charset: "utf8", legalComments: "none",
  });
}

const set = JSON.parse(readFileSync("node_modules/@iconify-json/lucide/icons.json", "utf8"));
const wanted = readFileSync("icons.txt", "utf8").split(/\s+/).filter(Boolean);
const symbols = wanted.map((name) => {
  const icon = set.icons[name] ?? set.icons[set.aliases[name]?.parent];
  if (!icon) throw new Error(`no icon ${name}`);
  return `<symbol id="${name}" viewBox="0 0 24 24">${icon.body}</symbol>`;
});
writeFileSync(`${folder}/icons.svg`, `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`);

writeFileSync(`${folder}/licences.txt`, PACKAGES.map(licence).join("\n\n\n") + "\n");

function licence(name) {
  const about = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  const heading = `${name} ${about.version} (${about.license})`;
  for (const file of FILES) {
    try {
      return `${heading}\n\n${readFileSync(`node_modules/${name}/${file}`, "utf8").trim()}`;
    } catch { /* the next name */ }
  }
  const { author, license } = JSON.parse(readFileSync(`node_modules/${name}/info.json`, "utf8"));
  return `${heading}\n\n${license.title}, ${author.name}: ${license.url}`;
}
