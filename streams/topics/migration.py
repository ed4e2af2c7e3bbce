"""Bring the topics to the version of this program.

The version is a setting, `version:topics`. Topics are compared each time, with any version: a
broker may have lost them.
"""

from mail.errors import Fatal
from mail.ports import Settings
from schemas.versions.change import SchemaChange
from schemas.versions.topics import TOPICS_VERSION
from streams.config import TopicsConfig
from streams.topics.admin import make_topics, planned_topics

_VERSION = "version:topics"


async def plan(config: TopicsConfig, settings: Settings | None) -> list[SchemaChange]:
    """Return what `migrate` would do; change nothing. `settings`: None if there are none yet.

    Raises as `migrate`.
    """
    found = 0 if settings is None else await _version(settings)
    return _changes(found, await planned_topics(config))


async def migrate(config: TopicsConfig, settings: Settings) -> list[SchemaChange]:
    """Make and repair the topics; return what this process did.

    Raises Fatal: a newer version made the topics, or WrongTopic; nothing is changed.
    BrokerUnavailable, StoreUnavailable.
    """
    found = await _version(settings)
    done = await make_topics(config)
    before = str(found) if found else None
    is_ours = found < TOPICS_VERSION and await settings.exchange_setting(
        _VERSION, before, str(TOPICS_VERSION)
    )
    return _changes(found if is_ours else TOPICS_VERSION, done)


async def _version(settings: Settings) -> int:
    found = int(await settings.setting(_VERSION) or 0)
    if found > TOPICS_VERSION:
        raise Fatal(f"the topics have version {found}, this Postriver knows {TOPICS_VERSION}")
    return found


def _changes(found: int, steps: list[str]) -> list[SchemaChange]:
    if found == TOPICS_VERSION and not steps:
        return []
    change = SchemaChange(
        engine="kafka", part="topics", found=found, version=TOPICS_VERSION, steps=tuple(steps)
    )
    return [change]
