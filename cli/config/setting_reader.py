"""Parse settings from text, and format them again. The list of settings is in config.py."""

import re
from collections.abc import Mapping
from pathlib import Path

from edge.trusted_networks import Networks
from mail.errors import Refused

_URL = re.compile(r"(https?|file)://[!-+\--~]+")  # printable ASCII without the comma
_ORIGIN = re.compile(r"https?://(?:[a-z0-9]+(?:[.-][a-z0-9]+)*|\[[0-9a-f:.]+\])(?::[1-9]\d{0,4})?")


class BadSetting(Refused):
    """A value that cannot be used; the text names the setting and what is expected."""

    def __init__(self, name: str, value: str, expected: str) -> None:
        super().__init__(f"{name}={value!r}: {expected}")


class SettingReader:
    """Typed access to POSTRIVER_* names."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str) -> str:
        return self._environ.get(f"POSTRIVER_{name}", "").strip() or default

    def path(self, name: str) -> Path | None:
        """Return an absolute path; None: not set. Whether it exists is seen when it is used."""
        value = self.text(name, "")
        return Path(value).expanduser().absolute() if value else None

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        return self._whole(name, self.text(name, str(default)), least=least, most=most)

    def _whole(self, name: str, value: str, *, least: int, most: int) -> int:
        if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
            raise BadSetting(f"POSTRIVER_{name}", value, f"a whole number, {least} to {most}")
        return int(value)

    def score(self, name: str, default: float) -> float:
        value = self.text(name, str(default))
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not -1000 <= number <= 1000:
            raise BadSetting(f"POSTRIVER_{name}", value, "a number, -1000 to 1000")
        return number

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return whole numbers; comma-separated, may be empty."""
        words = self.text(name, "").split(",")
        return tuple(self._whole(name, word, least=0, most=10**6) for word in words if word)

    def networks(self, name: str) -> Networks:
        value = self.text(name, "")
        try:
            return Networks.parse(value)
        except ValueError as error:
            expected = f"networks such as 10.0.0.0/8,::1/128 ({error})"
            raise BadSetting(f"POSTRIVER_{name}", value, expected) from error

    def origins(self, name: str) -> tuple[str, ...]:
        """Return origins as browsers write them (RFC 6454 §6.2); comma-separated, may be empty."""
        words = [word.strip() for word in self.text(name, "").split(",")]
        for word in filter(None, words):
            if not _ORIGIN.fullmatch(word):
                expected = "origins such as https://mail.example.org, without a path"
                raise BadSetting(f"POSTRIVER_{name}", word, expected)
        return tuple(filter(None, words))

    def choice(self, name: str, default: str, of: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in of:
            raise BadSetting(f"POSTRIVER_{name}", value, f"one of {', '.join(of)}")
        return value

    def urls(self, name: str) -> str:
        """Return http, https or file URLs as one text; comma-separated, may be empty."""
        value = self.text(name, "")
        if not all(_URL.fullmatch(url) for url in value.split(",") if url):
            raise BadSetting(f"POSTRIVER_{name}", value, "http, https or file URLs, no spaces")
        return value


def written(value: object) -> str:
    """Return `value` as text that `SettingReader` parses."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
