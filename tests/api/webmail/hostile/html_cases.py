"""Hostile HTML by name: scripts, requests, mutation of markup, overlays, and work.

Each .txt file of this folder is a kind; a line `==== NAME` begins a case. In a case RUN is a script
that reports itself, EVIL is a URL of another host, and a backslash with `x` and two digits is a
character. Every URL that must not be requested contains "evil".
"""

import re
from pathlib import Path

EVIL_HOST = "evil.test"
GREETING = "Good day from"  # begins the visible sentence at the start of each mail
_NAME = re.compile(r"^==== (\S+)\n", re.MULTILINE)
_CHARACTER = re.compile(r"\\x([0-9a-f]{2})")
_HIDDEN = "<style><a title='</style><img src=EVIL onerror=RUN>'>"

MADE = {
    "mutations-depth": "<div>" * 600 + _HIDDEN + "</div>" * 600,
    "mutations-depth-of-svg": "<svg><g>" * 300 + _HIDDEN + "</g></svg>" * 300,
    "work-nesting": "<div>" * 10_000 + "deep",
    "work-nesting-of-fonts": "".join(f"<font color=#{at:06x}>" for at in range(3_000))
    + "<p>x" * 3_000,
    "work-five-megabytes": "<p title=x><a href=http://ok.test/>words</a>" + "more &amp; " * 480_000,
    "work-attributes": f"<p {' '.join(f'a{at}=EVIL' for at in range(20_000))}>x</p>",
}


def _read() -> dict[str, str]:
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.txt")):
        _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, html in zip(parts[::2], parts[1::2], strict=True):
            plain = _CHARACTER.sub(lambda match: chr(int(match[1], 16)), html)
            found[f"{path.stem}-{name}"] = plain
    return found


CASES = _read() | MADE


def case_html(name: str) -> str:
    """Return the HTML of a case, after a visible sentence with its name."""
    url = f"http://{EVIL_HOST}/{name}"
    run = f"top.pwned(`{name}`),fetch(`/evil/{name}`)"
    body = CASES[name].replace("EVIL_HOST", EVIL_HOST).replace("EVIL", url).replace("RUN", run)
    return f"<p>{GREETING} {name}.</p>{body}"
