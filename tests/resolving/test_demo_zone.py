"""The DNS server of the demo: what it names, and what it does not answer."""

import dns.message
import dns.rcode

from resolving.demo_zone import DemoZone

KEY = "k._domainkey.postriver.test"
ZONE = DemoZone("demo.example", texts={KEY: '"v=DKIM1; " "p=x"'})


def ask(name: str, kind: str) -> dns.message.Message:
    answer = ZONE.answer(dns.message.make_query(name, kind).to_wire())
    assert answer is not None
    return dns.message.from_wire(answer)


def test_the_domain_and_its_host() -> None:
    assert (
        ask("Demo.Example", "MX").answer[0].to_text().lower().endswith("in mx 10 mx.demo.example.")
    )
    assert ask("mx.demo.example", "A").answer[0].to_text().endswith("IN A 127.0.0.1")


def test_a_text_is_found_by_its_name() -> None:
    assert ask(KEY, "TXT").answer[0].to_text().endswith('IN TXT "v=DKIM1; " "p=x"')


def test_other_types_are_empty_and_other_names_do_not_exist() -> None:
    empty = ask("demo.example", "AAAA")
    assert (empty.rcode(), empty.answer) == (dns.rcode.NOERROR, [])
    assert ask("elsewhere.example", "MX").rcode() == dns.rcode.NXDOMAIN


def test_what_is_no_question_has_no_answer() -> None:
    assert ZONE.answer(b"") is None
    assert ZONE.answer(b"\x00" * 12) is None
    assert ZONE.answer(b"\xff" * 300) is None
