"""Names of received and uploaded files, safe to save under and to write into a header."""

import re
import unicodedata

FILENAME_MAX_CHARS = 120
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Cf: bidi overrides can disguise a name


def safe_filename(filename: str, default: str) -> str:
    """The last path component of `filename`, or `default` if nothing remains.

    Unprintable characters and leading dots are removed. The length is limited to
    FILENAME_MAX_CHARS; the extension is kept.
    """
    component = re.split(r"[/\\]", unicodedata.normalize("NFC", filename))[-1]
    name = "".join(c for c in component if unicodedata.category(c) not in _UNPRINTABLE)
    name = name.strip().lstrip(".").strip()
    stem, dot, extension = name.rpartition(".")
    if dot and len(extension) <= 16:
        name = f"{stem[: FILENAME_MAX_CHARS - len(extension) - 1]}.{extension}"
    return name[:FILENAME_MAX_CHARS] or default
