"""Contract of the OperatorActs port. Fixture: `directory`, an empty directory."""

from schemas.directory import OperatorAct


def act(number: int, *, at_ms: int) -> OperatorAct:
    return OperatorAct(
        act_id=f"a{number}",
        at_ms=at_ms,
        user_id="u1",
        address="ann@example.org",
        peer="192.0.2.7",
        verb="quarantine.release",
        target=f"m{number}",
        detail="force=true",
    )


class OperatorActsContract:
    async def test_acts_are_listed_newest_first_in_pages(self, directory):
        made = [act(number, at_ms=number // 2) for number in range(5)]
        for each in (*made, made[0]):
            await directory.add_act(each)
        assert await directory.acts(limit=9) == made[::-1]
        first = await directory.acts(limit=2)
        before = first[-1].at_ms, first[-1].act_id
        assert first + await directory.acts(limit=9, before=before) == made[::-1]

    async def test_an_act_ends_once(self, directory):
        await directory.add_act(act(1, at_ms=1))
        for outcome in ("done", "refused"):
            await directory.end_act("a1", outcome)
        await directory.end_act("a9", "done")
        assert [row.outcome for row in await directory.acts(limit=9)] == ["done"]

    async def test_old_acts_go(self, directory):
        for number in range(4):
            await directory.add_act(act(number, at_ms=number))
        assert await directory.prune_acts(before_ms=2) == 2
        assert [row.act_id for row in await directory.acts(limit=9)] == ["a3", "a2"]
