"""The view document: one mail as an HTML document with one style sheet, for a sandboxed frame.

The Content-Security-Policy of the document allows the sheet by its hash and nothing else inline, so
the document has no style attributes.
"""

import base64
import hashlib
import html as entities

import msgspec

from mail.html.quote_folding import folded
from mail.html.style_sheet import with_classes

VERSION = 2  # of the document that a mail becomes; part of its entity tag
_SHEET = """\
body{margin:0;padding:1px;overflow-wrap:anywhere;line-height:1.6;font-size:15px;
font-family:system-ui,"Apple SD Gothic Neo","Malgun Gothic","Noto Sans KR","NanumGothic",sans-serif}
img{max-width:100%}
table{max-width:100%}
pre,.mail-text{white-space:pre-wrap}
pre{font-family:inherit}
blockquote{margin:8px 0;padding-left:12px;border-left:2px solid #8a9794}
.mail-level1,.mail-level2,.mail-level3,.mail-level4,.mail-level5{padding-left:12px;
border-left:2px solid #8a9794}
.mail-level2{margin-left:14px}
.mail-level3{margin-left:28px}
.mail-level4{margin-left:42px}
.mail-level5{margin-left:56px}
.mail-signature{opacity:.7}
.mail-fold>summary{cursor:pointer;list-style:none;display:inline-block;padding:0 8px;
border:1px solid #7b8885;border-radius:6px;line-height:16px;margin:4px 0}
.mail-cut{border-top:1px solid #7b8885;padding-top:8px}
"""
# Without colours of its own a mail has those of the reader's theme.
_THEMED = ":root{color-scheme:light dark}\n"
_PAPER = ":root{color-scheme:light;background:#fff;color:#13201e}\n"
CUT_NOTE = '<p class="mail-cut">The rest is in the raw message.</p>'


class ViewDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An HTML document, and the SHA-256 of its style sheet in Base64 (CSP 3 §6.7.4).

    `remote_images`: the URLs of those that the document refers to, in the order of their numbers.
    """

    html: str
    style_sha256: str
    remote_images: tuple[str, ...] = ()


def view_document(
    clean: str, *, title: str, own_colours: bool = False, is_cut: bool = False
) -> ViewDocument:
    """Return the document of a mail whose body is `clean`, from the sanitizer or `text_view`."""
    body, rules = with_classes(folded(clean))
    sheet = (_PAPER if own_colours else _THEMED) + _SHEET + rules
    note = CUT_NOTE if is_cut else ""
    document = (
        '<!doctype html>\n<html><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{entities.escape(title)}</title><style>{sheet}</style></head>"
        f'<body dir="auto">{body}{note}</body></html>'
    )
    digest = hashlib.sha256(sheet.encode()).digest()
    return ViewDocument(html=document, style_sha256=base64.b64encode(digest).decode())
