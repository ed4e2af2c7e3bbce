"""Epochs of topics that are ended by a restore."""

from stores.memory import MemoryDirectory
from streams.topics.epochs import counter_of, end_epochs, ensure_epoch, epoch_of


async def test_an_epoch_that_was_ended_does_not_go_on_with_the_same_topic() -> None:
    settings = MemoryDirectory()
    first = await ensure_epoch(settings, "mail.received", "id")
    assert await ensure_epoch(settings, "mail.received", "id") == first
    for _ in range(2):  # as after a kill
        await end_epochs(settings, ["mail.received", "never.begun"])
    second = await ensure_epoch(settings, "mail.received", "id")
    assert counter_of(second) > counter_of(first)
    assert await epoch_of(settings, "never.begun") is None
