"""The corpus of malformed mails: what a user sees of each."""

from pathlib import Path

import msgspec
import pytest

from mail.mime.message_parser import read_head, read_mail
from tests.mail.mime.write_corpus import CHINESE, CORPUS, JAPANESE, KOREAN, MAILS

KIM = "Kim <kim@example.kr>"
# name: subject, sender, text, attachments. The usual sender is Kim.
EXPECTED: dict[str, tuple[str, str, str, list[str]]] = {
    "address-comments": ("comments", KIM, "hi", []),
    "address-encoded-comma": ("commas", "Kim, Chul <kim@example.kr>", "hi", []),
    "address-groups": ("groups", " <kim@example.kr>", "hi", []),
    "address-unclosed-quote": ("quote", '"Kim <kim@example.kr>', "hi", []),
    "alternative": ("alternative", KIM, "plain words", []),
    "attached-message": ("forwarded", KIM, "the text", ["attachment-1.eml"]),
    "attachment-named-in-korean": ("report", KIM, "the text", ["보고서.pdf"]),
    "base64-broken": ("base64", KIM, "the text", ["a.pdf"]),
    "base64-text-broken": ("base64 text", KIM, "half of this arrived, the rest di", []),
    "big5": ("big5", KIM, "你好", []),
    "boundary-missing": ("no boundary", KIM, "--x\n\nhi", []),
    "boundary-never-closed": ("unclosed", KIM, "the text", []),
    "boundary-wrong": ("wrong boundary", KIM, "--y\n\nstill readable\n--y--", []),
    "charset-base64": ("charset", KIM, "aGVsbG8=", []),
    "charset-unknown": ("charset", KIM, "né", []),
    "digest": ("digest", KIM, "", ["attachment-1.eml", "attachment-2.eml"]),
    "duplicated-from": ("a", " <first@x.test>", "hi", []),
    "eight-bit-undeclared-euc-kr": (KOREAN, KIM, KOREAN, []),
    "eight-bit-undeclared-latin": ("Café à Noël", KIM, "Déjà", []),
    "eight-bit-undeclared-utf-8": (KOREAN, KIM, KOREAN, []),
    "empty": ("", "", "", []),
    "encoded-word-split-character": ("한글", KIM, "hi", []),
    "euc-kr": ("한국", KIM, KOREAN, []),
    "gb18030": ("gb", KIM, CHINESE, []),
    "header-begins-with-space": ("shifted", " <kim@example.kr>", "hi", []),
    "header-huge": ("huge", "", "hi", []),
    "header-line-without-colon": ("colon", KIM, "this is no field\n\nhi", []),
    "header-only": ("only a header", KIM, "", []),
    "header-unterminated": ("unterminated", KIM, "", []),
    "html-only": ("html", KIM, "Only html", []),
    "inline-picture": ("picture", KIM, "seen", ["attachment-1.png"]),
    "iso-2022-jp": ("会議", KIM, JAPANESE, []),
    "iso-2022-jp-undeclared": ("会議", KIM, JAPANESE, []),
    "line-ends-lf": ("lf", KIM, "the text", ["a.pdf"]),
    "line-ends-mixed": ("line ends", KIM, "one\ntwo\nthree", []),
    "line-of-5000": ("long line", KIM, ("word " * 1000).strip(), []),
    "message-ids": ("ids", "", "hi", []),
    "no-header": ("", "", "only a body", []),
    "no-structure": ("", "", "just some words\nand more", []),
    "nul": ("nul", KIM, "before after[0m", []),
    "quoted-printable-broken": ("qp", KIM, "café =ZZ end", []),
    "shift-jis": ("sjis", KIM, JAPANESE, []),
    "signed": ("signed", KIM, "signed text", ["attachment-1"]),
    "spoofed-filename": ("spoof", KIM, "", ["codtxt.exe"]),
    "type-garbage": ("type", KIM, "still text", []),
    "utf-16": ("utf-16", KIM, "schräg", []),
    "windows-1251": ("cp1251", KIM, "Привет", []),
}
FAILED = {"empty", "nested-200", "no-header", "no-structure", "utf-16-junk"}


def names() -> list[str]:
    return sorted(MAILS)


def test_the_files_are_what_the_script_writes() -> None:
    files = {path.stem: path.read_bytes() for path in Path(CORPUS).glob("*.eml")}
    assert files == MAILS


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_what_a_user_sees(name: str) -> None:
    message = read_mail(MAILS[name])
    sender = message.head.sender
    shown = f"{sender.name} <{sender.address}>" if sender else ""
    attached = [file.filename for file in message.attachments]
    assert (message.head.subject, shown, message.text.strip(), attached) == EXPECTED[name]


@pytest.mark.parametrize("name", names())
def test_every_mail_is_parsed_within_the_limits(name: str) -> None:
    head = read_head(MAILS[name])
    assert head == read_mail(MAILS[name]).head
    assert head.parse_failed == (name in FAILED)
    assert len(msgspec.msgpack.encode(head)) < 64 * 1024
    assert msgspec.json.decode(msgspec.json.encode(read_mail(MAILS[name])))


def test_inline_images_and_signatures_are_not_attachments_for_users() -> None:
    has = {name: read_head(octets).has_attachments for name, octets in MAILS.items()}
    assert has["attached-message"]
    assert has["base64-broken"]
    assert not has["inline-picture"]
    assert not has["signed"]


def test_addresses_of_groups_are_kept_and_their_names_are_not() -> None:
    head = read_head(MAILS["address-groups"])
    assert [(address.name, address.address) for address in head.to] == [
        ("", "bob@postriver.test"),
        ("Ann", "ann@x.test"),
    ]


def test_ids_lose_brackets_and_garbage() -> None:
    head = read_head(MAILS["message-ids"])
    assert (head.message_id, head.in_reply_to) == ("a@x", ("b@x",))
    assert head.references == ("c@x", "b@x")
