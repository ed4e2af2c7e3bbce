"""`postriver user limits` and `postriver domain limits`: changes, and the limits in force."""

import pytest

from cli.commands.sending_limits import limits_text
from mail.errors import NotFound
from mail.sending.sending_limits import SendingLimits
from operations import accounts
from operations.sending_limits import UNLIMITED, LimitsChange, domain_limits, user_limits
from schemas.directory import NO_OWN_LIMITS
from stores.memory import MemoryDirectory

ANN = "ann@here.test"
CONFIGURED = {"configured": SendingLimits()}
NOTHING = LimitsChange(limits={})


@pytest.fixture
async def directory() -> MemoryDirectory:
    directory = MemoryDirectory()
    await accounts.add_domain(directory, "here.test")
    await accounts.add_user(directory, ANN, "correct horse battery staple")
    return directory


async def test_limits_are_shown_with_their_origin(directory: MemoryDirectory) -> None:
    change = LimitsChange(limits={"mails_per_day": 5, "recipients_per_day": 0})
    await domain_limits(directory, "here.test", change=change, **CONFIGURED)
    change = LimitsChange(limits={"mails_per_minute": 1})
    status = await user_limits(directory, ANN, change=change, **CONFIGURED)
    assert limits_text(status).splitlines() == [
        "ann@here.test per minute: 1 mails (set here), 200 recipients",
        "ann@here.test per hour: 300 mails, 1000 recipients",
        "ann@here.test per day: 5 mails, any number of recipients",
    ]
    shown = await domain_limits(directory, "here.test", change=NOTHING, **CONFIGURED)
    assert limits_text(shown).splitlines()[2] == (
        "here.test per day: 5 mails (set here), any number of recipients (set here)"
    )


async def test_none_and_default_replace_all_limits(directory: MemoryDirectory) -> None:
    change = LimitsChange(limits={"mails_per_hour": 7}, start=UNLIMITED)
    status = await user_limits(directory, ANN, change=change, **CONFIGURED)
    assert [(each.name, each.mails, each.recipients) for each in status.limits.all] == [
        ("hour", 7, 0)
    ]
    change = LimitsChange(limits={}, start=NO_OWN_LIMITS)
    status = await user_limits(directory, ANN, change=change, **CONFIGURED)
    assert status.limits == SendingLimits()


async def test_unknown_names_are_not_found(directory: MemoryDirectory) -> None:
    with pytest.raises(NotFound):
        await user_limits(directory, "eve@here.test", change=NOTHING, **CONFIGURED)
    with pytest.raises(NotFound):
        await domain_limits(directory, "there.test", change=NOTHING, **CONFIGURED)
