"""mailbox: settings of the mailbox's owner."""

import pytest

from mail.mailbox.settings_limits import _CHECKS, SETTINGS_MAX_BYTES
from schemas.events.mailbox_commands import ChangeSettings
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged
from schemas.user_settings import (
    DeliveryRule,
    Label,
    RuleAction,
    RuleCondition,
    SavedSearch,
    SenderIdentity,
    SettingsPatch,
    StoredSettings,
    UserSettings,
    Vacation,
)
from tests.support.mailbox_world import MailboxWorld

WORK = Label(keyword="work", name="Work")
ANN = SenderIdentity(id="i1", address="ann@x.test", is_default=True)
FROM_KIM = RuleCondition(field="from", comparison="is", value="kim@x.test")
RULE = DeliveryRule(id="r", conditions=(FROM_KIM,), actions=(RuleAction(action="flag"),))


@pytest.fixture
def world() -> MailboxWorld:
    return MailboxWorld()


async def change(world: MailboxWorld, *, since: int | None = None, **values):
    patch = SettingsPatch(**values)
    return await world.order(ChangeSettings, patch=patch, unchanged_since_seq=since)


async def test_a_change_is_one_step_with_what_differs(world: MailboxWorld) -> None:
    await world.deliver("m1")
    event = await change(world, theme="dark", pane="right", labels=(WORK,))
    assert isinstance(event, MailboxChanged)
    assert event.settings == SettingsPatch(theme="dark", labels=(WORK,))
    assert (event.seq, event.changes, event.folders) == (2, (), ())
    assert event.type_seqs is not None
    assert (event.type_seqs.settings, event.type_seqs.messages) == (2, 1)
    stored = await world.ports.store.settings("bob")
    assert stored == StoredSettings(
        settings=UserSettings(theme="dark", labels=(WORK,)), changed_seq=2
    )


async def test_settings_as_they_are_take_no_step(world: MailboxWorld) -> None:
    assert (await change(world, theme="system")).outcome == "unchanged"
    await change(world, theme="dark")
    assert (await change(world, theme="dark")).outcome == "unchanged"
    assert (await change(world)).outcome == "unchanged"
    assert (await world.ports.store.load("bob")).seq == 1


async def test_a_change_of_settings_that_its_author_did_not_see_is_a_conflict(
    world: MailboxWorld,
) -> None:
    await change(world, since=0, theme="dark")
    await world.deliver("m1")
    assert (await change(world, since=0, pane="off")).outcome == "conflict"
    assert (await change(world, since=1, pane="off")).seq == 3
    assert (await world.ports.store.settings("bob")).settings.theme == "dark"


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"theme": "pink"}, "$.theme"),
        ({"language": "k"}, "$.language"),
        ({"zone": "../etc"}, "$.zone"),
        ({"undo_send_s": 61}, "$.undo_send_s"),
        ({"mark_read_after_s": -1}, "$.mark_read_after_s"),
        ({"image_senders": ("ann@x.test", "x")}, "$.image_senders[1]"),
        ({"labels": (WORK, WORK)}, "$.labels[1].keyword"),
        ({"labels": (Label(keyword="Work", name="W"),)}, "$.labels[0].keyword"),
        ({"labels": (Label(keyword="w", name=""),)}, "$.labels[0].name"),
        ({"labels": (Label(keyword="w", name="W", colour="#fff"),)}, "$.labels[0].colour"),
        ({"labels": tuple(Label(keyword=f"w{n}", name="W") for n in range(101))}, "$.labels"),
        ({"saved_searches": (SavedSearch(name="a\nb", q="x"),)}, "$.saved_searches[0].name"),
        ({"identities": (ANN, ANN)}, "$.identities[1].id"),
        ({"identities": (SenderIdentity(id="i", address="a@x.test"),)}, "$.identities"),
        ({"identities": (SenderIdentity(id="i", address="a"),)}, "$.identities[0].address"),
        ({"rules": (RULE, RULE)}, "$.rules[1].id"),
        ({"rules": (DeliveryRule(id="r", conditions=(), actions=()),)}, "$.rules[0].conditions"),
        ({"vacation": Vacation(from_date="2026-02-30T00:00:00Z")}, "$.vacation.from_date"),
        ({"vacation": Vacation(text="x" * 16_385)}, "$.vacation.text"),
        (
            {"vacation": Vacation(from_date="2026-03-01T00:00:00Z",
                                  to_date="2026-03-01T00:00:00Z")},
            "$.vacation.to_date",
        ),
    ],
)  # fmt: skip
async def test_a_refusal_names_the_place(world: MailboxWorld, values, place: str) -> None:
    answer = await change(world, **values)
    assert isinstance(answer, CommandAnswered)
    assert answer.outcome == "refused"
    assert answer.detail.startswith(f"{place}: "), answer.detail


@pytest.mark.parametrize(
    ("condition", "action", "place"),
    [
        ({"field": "body"}, {}, "$.rules[0].conditions[0].field"),
        ({"comparison": "above"}, {}, "$.rules[0].conditions[0].comparison"),
        ({"value": ""}, {}, "$.rules[0].conditions[0].value"),
        ({"field": "size_bytes", "comparison": "above"}, {}, "$.rules[0].conditions[0].value"),
        ({}, {"action": "forward"}, "$.rules[0].actions[0].action"),
        ({}, {"action": "move"}, "$.rules[0].actions[0].value"),
        ({}, {"action": "flag", "value": "x"}, "$.rules[0].actions[0].value"),
        ({}, {"action": "add_keyword", "value": "A b"}, "$.rules[0].actions[0].value"),
    ],
)
async def test_rules_are_checked(world: MailboxWorld, condition, action, place: str) -> None:
    fields = {"field": "from", "comparison": "is", "value": "kim"} | condition
    rule = DeliveryRule(
        id="r",
        conditions=(RuleCondition(**fields),),
        actions=(RuleAction(**({"action": "flag"} | action)),),
    )
    assert (await change(world, rules=(rule,))).detail.startswith(f"{place}: ")
    assert isinstance(await change(world, rules=(RULE,)), MailboxChanged)


async def test_all_settings_together_have_a_size(world: MailboxWorld) -> None:
    """Each text is within its limit; five of them are not."""
    texts = [
        SenderIdentity(id=f"i{n}", address="a@x.test", signature_text="x" * 16_000,
                       is_default=not n)
        for n in range(5)
    ]  # fmt: skip
    answer = await change(world, identities=tuple(texts))
    assert (answer.outcome, answer.detail.split(":")[0]) == ("refused", "$")
    assert str(SETTINGS_MAX_BYTES) in answer.detail
    assert (await change(world, identities=tuple(texts[:4]))).seq == 1


def test_every_setting_has_its_check_and_its_place_in_a_patch() -> None:
    names = set(UserSettings.__struct_fields__)
    assert names == set(_CHECKS) == set(SettingsPatch.__struct_fields__)
