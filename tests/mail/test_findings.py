"""A report names the first differences, counts the others, and does not grow beyond them."""

from mail.mailbox.consistency_check import Findings
from schemas.consistency import LISTS, REPORT_MAX, ExpectedMessage, ViewDifference
from schemas.content import Stored


def difference(number: int) -> ViewDifference:
    return ViewDifference(LISTS, f"{number:06}")


def test_differences_beyond_the_limit_are_counted() -> None:
    findings = Findings()
    findings.add(map(difference, range(REPORT_MAX + 7)))
    findings.add(map(difference, range(REPORT_MAX)))  # named or counted before
    assert findings.report.differences == tuple(map(difference, range(REPORT_MAX)))
    assert (findings.report.more, findings.report.number) == (7, REPORT_MAX + 7)


def test_what_another_report_did_not_name_is_counted() -> None:
    findings = Findings()
    findings.add([difference(1)], more=5)
    assert (findings.report.more, findings.report.number) == (5, 6)


def test_lost_messages_beyond_the_limit_are_left_out() -> None:
    message = ExpectedMessage("m", "m", Stored("m", 1, "0"), destroyed=False)
    findings = Findings()
    for _ in range(2):
        findings.lost([message] * (REPORT_MAX - 1))
    assert findings.report.without_row == (message,) * REPORT_MAX
