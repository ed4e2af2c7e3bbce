"""Modules of the webmail in few files: what a file has, its source map, and what is refused."""

import json

import pytest

from api.config import ApiConfig
from api.webmail.file_tree import ASSETS, read_tree
from api.webmail.joined_modules import MAP, NotJoinable, joined

WORDS = """// Words.
export const t = (key) => key;
export async function load() {
  return (await import("./mail/view.js")).view;
}
"""
APP = """import { html, render as draw } from "../vendor/preact.js";
import { t as say } from "../words.js";
import { Part } from "./parts.js";

draw(html`<${Part} name=${say("hello")} />`);
"""
PARTS = """export class Part {}
"""
VIEW = """import { t } from "../words.js";
import { Part } from "../shell/parts.js";

await t("view");
export const view = () => new Part(import("../vendor/editor.js"));
const frame = () => import("./frame.js");
"""
FRAME = """import { view } from "./view.js";
export const frame = view;
"""
MODULES = {
    "words.js": WORDS,
    "shell/app.js": APP,
    "shell/parts.js": PARTS,
    "mail/view.js": VIEW,
    "mail/frame.js": FRAME,
}


def files_of(modules: dict[str, str]) -> dict[str, str]:
    bodies = {name: text.encode() for name, text in modules.items()}
    return {
        name: body.decode() for name, body in joined(bodies, "shell/app.js", "first.js").items()
    }


FIRST = """import * as $vendor_preact from "./vendor/preact.js";
export const $words = (() => { // words.js
// Words.
const t = (key) => key;
async function load() {
  return (await import("./mail.js").then((file) => file.$mail_view)).view;
}

return { t, load }; })();
export const $shell_parts = (() => { // shell/parts.js
class Part {}

return { Part }; })();
export const $shell_app = (() => { // shell/app.js
const { html, render: draw } = $vendor_preact;
const { t: say } = $words;
const { Part } = $shell_parts;

draw(html`<${Part} name=${say("hello")} />`);

return {  }; })();
//# sourceMappingURL=first.js.map
"""
MAIL = """import { $words } from "./first.js";
import { $shell_parts } from "./first.js";
export const $mail_view = await (async () => { // mail/view.js
const { t } = $words;
const { Part } = $shell_parts;

await t("view");
const view = () => new Part(import("./vendor/editor.js"));
const frame = () => import("./mail.js").then((file) => file.$mail_frame);

return { view }; })();
export const $mail_frame = (() => { // mail/frame.js
const { view } = $mail_view;
const frame = view;

return { frame }; })();
//# sourceMappingURL=mail.js.map
"""


def test_the_first_screen_is_one_file_and_the_rest_one_for_each_folder() -> None:
    files = files_of(MODULES)
    assert set(files) == {"first.js", "mail.js", f"first.js{MAP}", f"mail.js{MAP}"}
    assert files["first.js"] == FIRST
    assert files["mail.js"] == MAIL


def test_a_source_map_leads_to_the_lines_of_the_modules() -> None:
    tree = read_tree(ApiConfig().webmail_libraries)
    mapped = set()
    for name, file in tree.files.items():
        if not name.endswith(MAP):
            continue
        made = tree.files[name.removesuffix(MAP)].body.decode().split("\n")
        for section in json.loads(file.body)["sections"]:
            ((source,), (text,)) = section["map"]["sources"], section["map"]["sourcesContent"]
            assert text == (ASSETS / source).read_text()
            begin, lines = section["offset"]["line"], text.split("\n")
            assert section["map"]["mappings"].count(";") == len(lines) - 1
            assert made[begin - 1].endswith(f"// {source}")
            for line, joined_line in zip(lines, made[begin:], strict=False):
                if "import" not in line:
                    assert joined_line == line.removeprefix("export ")
            mapped.add(source)
    own = {path.relative_to(ASSETS).as_posix() for path in ASSETS.rglob("*.js")}
    assert mapped == own - {"sw.js"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        pytest.param("export let words = {};", "export let", id="an export that is assigned"),
        pytest.param("export default 1;", "export default", id="without a name"),
        pytest.param("export { t };", "export { t }", id="a list"),
        pytest.param("export const { a, b } = c;", "export const {", id="a pattern"),
        pytest.param('import * as all from "../words.js";', "import \\*", id="a namespace"),
        pytest.param('import { t } from "../words.js"', "import { t }", id="no semicolon"),
        pytest.param("import { t", "import { t", id="several lines"),
        pytest.param('import { t } from "words";', "import { t }", id="no path"),
        pytest.param("const one = () => import(`./${two}.js`);", "const one", id="a made path"),
        pytest.param("const here = import.meta.url;", "import.meta", id="its own address"),
        pytest.param('import { missing } from "../words.js";', "missing", id="not exported"),
        pytest.param('import { t } from "../nothing.js";', "nothing.js", id="no such module"),
        pytest.param('import "../words.js";', 'import "', id="without names"),
    ],
)
def test_a_line_of_another_form_is_refused(line: str, why: str) -> None:
    with pytest.raises(NotJoinable, match=f"shell/parts.js.*{why}"):
        files_of({**MODULES, "shell/parts.js": f"{PARTS}{line}\n"})


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"words.js": f'import {{ Part }} from "./shell/parts.js";\n{WORDS}',
                      "shell/parts.js": f'import {{ t }} from "../words.js";\n{PARTS}'},
                     id="modules"),
        pytest.param({"list/one.js": 'import { view } from "../mail/view.js";\n',
                      "list/two.js": "export const two = 2;\n",
                      "mail/frame.js": 'import { two } from "../list/two.js";\n'},
                     id="files"),
    ],
)  # fmt: skip
def test_a_circle_is_refused(more: dict[str, str]) -> None:
    with pytest.raises(NotJoinable, match="import each other"):
        files_of({**MODULES, **more})
