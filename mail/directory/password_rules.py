"""Password rules: minimum length, and no common passwords (NIST SP 800-63B).

The word list is short and our own. It has words instead of passwords: after digits, signs and usual
character swaps are removed, a password must have more than such a word.
"""

import re

PASSWORD_MIN_CHARS = 10
PASSWORD_MAX_CHARS = 256
_DISTINCT_MIN = 5  # characters
_PLAIN_MIN = 4  # characters left; a common word, or three digits, count as one character
_SWAPS = str.maketrans("013457@$!", "oleastasi")
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm",
    "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn", "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "qazwsxedcrfvtgbyhnujm",
)  # fmt: skip
_ENDS = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_RUN = 4  # consecutive characters of a row of _ROWS, forwards or backwards
_WORDS = frozenset(
    """
    access admin administrator alexander amanda andrea andrew angel apple asdf ashley august
    austin autumn babygirl bailey baseball basketball batman beautiful blink boomer brandon buster
    butterfly changeme charlie cheese chelsea chocolate computer cookie daniel december default
    diamond dragon eminem family february flower football forever freedom friday friends george
    ginger google guest hallo hannah hello hockey hunter iloveyou internet jasmine jennifer jessica
    jesus jordan joshua justin killer letmein liverpool login london love loveme lovely maggie
    manager market martin master matrix matthew melissa merlin michael michelle monday monkey
    mother mustang naruto nicole ninja november october orange passport passwort password pepper
    phoenix pokemon postriver princess purple qwert qwerty rainbow robert samantha samsung saturday
    secret security september server shadow silver snoopy soccer spring starwars summer sunday
    sunflower sunshine superman support sweet system temp temporary test tester thomas thursday
    tigger tinkerbell trustno tuesday user vanessa wednesday welcome whatever william winter
    wizard yellow zaq
    """.split()  # noqa: SIM905 - a column of 110 quoted words reads worse
)


def fault_in(password: str, *, address: str) -> str:
    """Why `password` must not be set for the user of `address`; "" if it may."""
    if not PASSWORD_MIN_CHARS <= len(password) <= PASSWORD_MAX_CHARS:
        return f"A password has {PASSWORD_MIN_CHARS} to {PASSWORD_MAX_CHARS} characters."
    folded = password.casefold()
    if len(set(folded)) < _DISTINCT_MIN:
        return f"A password has at least {_DISTINCT_MIN} different characters."
    if _is_common(folded, address.casefold()):
        return "This password is among the first that are tried: take several words, or more signs."
    return ""


def _is_common(folded: str, address: str) -> bool:
    """Whether too little is left without key rows, common words and the user's address."""
    known = _WORDS | _parts(address)
    swapped = _ENDS.sub("", folded).translate(_SWAPS)
    return any(_rest(text, known) < _PLAIN_MIN for text in (folded, swapped or folded))


def _rest(text: str, known: frozenset[str]) -> int:
    """Characters without key rows and `known` words; a word or three digits count as one."""
    covered, words = _in_rows(text), 0
    for word in sorted(known, key=len, reverse=True):
        for match in re.finditer(re.escape(word), text):
            span = set(range(*match.span()))
            words += not span <= covered
            covered |= span
    left = [char for index, char in enumerate(text) if index not in covered]
    return words + sum(map(str.isalpha, left)) + sum(map(str.isdigit, left)) // 3


def _in_rows(text: str) -> set[int]:
    """Indexes of _RUN or more characters that are consecutive on a keyboard or in the alphabet."""
    covered: set[int] = set()
    for at in range(len(text) - _RUN + 1):
        piece = text[at : at + _RUN]
        if any(piece in row or piece[::-1] in row for row in _ROWS):
            covered.update(range(at, at + _RUN))
    return covered


def _parts(address: str) -> frozenset[str]:
    return frozenset(part for part in re.split(r"[@.+_-]", address) if len(part) >= _RUN)
