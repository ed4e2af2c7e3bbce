"""Uploads: order of the writes, virus scan, expiry, and what is left after a kill at any step."""

import asyncio
from dataclasses import dataclass, field

import pytest

from edge.deposits.deposit import DepositsBusy, TooLarge
from edge.deposits.room import OverQuota, OwnerRoom
from edge.deposits.uploader import UploadConfig, Uploader, UploadPorts
from edge.deposits.virus_check import Infected, VirusCheck
from mail.errors import NotFound, ScannerUnavailable
from mail.ids import upload_holder
from mail.ports import TooManyUploads
from scanners.memory import EICAR, MemoryVirusScanner
from schemas.directory import QUOTA_UNSET, Quota, User
from schemas.mailbox import Usage
from schemas.uploads import Upload
from stores.memory import (
    MemoryContentStore,
    MemoryDirectory,
    MemoryHolders,
    MemoryMailStore,
    MemoryUploads,
)
from tests.support.edge_world import Gate

ALICE = User(user_id="alice", domain_id="d", address="a@p.test", disabled=False, created_at_ms=0)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


class Killed(Exception):
    """The process ends here."""


@dataclass
class Desk:
    quota: Quota = QUOTA_UNSET
    config: UploadConfig = field(default_factory=UploadConfig)
    uploads: MemoryUploads = field(default_factory=MemoryUploads)
    contents: MemoryContentStore = field(default_factory=MemoryContentStore)
    holders: MemoryHolders = field(default_factory=MemoryHolders)
    virus: MemoryVirusScanner = field(default_factory=MemoryVirusScanner)
    now_ms: int = 1_900_000_000_000

    def __post_init__(self) -> None:
        self.uploader = Uploader(
            UploadPorts(uploads=self.uploads, contents=self.contents, holders=self.holders),
            self.config,
            virus=VirusCheck(self.virus),
            room=OwnerRoom(MemoryMailStore(), MemoryDirectory(), self.quota, self.uploads, Gate()),
            clock_ms=lambda: self.now_ms,
        )

    async def upload(self, octets: bytes = b"a picture", *, name: str = "a.png") -> Upload:
        return await self.uploader.upload(ALICE, octets, filename=name, content_type="image/png")


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_an_upload_is_a_content_with_a_holder_and_a_row(desk):
    done = await desk.upload()
    assert await desk.uploader.content(done) == b"a picture"
    (holder,) = await desk.holders.list(done.upload_id)
    assert holder.holder == f"upload:alice:{done.upload_id}"
    assert await desk.uploader.find("alice", done.upload_id) == done
    assert (done.size_bytes, done.expires_at_ms) == (9, desk.now_ms + DAY_MS)
    with pytest.raises(NotFound):
        await desk.uploader.find("bob", done.upload_id)
    with pytest.raises(NotFound):
        await desk.uploader.delete("bob", done.upload_id)
    assert await desk.uploader.use("bob", [done.upload_id]) == {}


async def test_an_empty_file_can_be_uploaded(desk):
    done = await desk.upload(b"")
    assert await desk.uploader.content(done) == b""


async def test_what_is_refused_leaves_nothing():
    desk = Desk(quota=Quota(size_bytes=100), config=UploadConfig(size_max_bytes=150))
    for octets, error in (
        (EICAR, Infected), (b"x" * 101, OverQuota), (b"x" * 151, TooLarge)
    ):  # fmt: skip
        with pytest.raises(error):
            await desk.upload(octets)
    desk.virus.down = True
    with pytest.raises(ScannerUnavailable):
        await desk.upload()
    assert not {**desk.uploads.rows, **desk.contents.contents, **desk.holders.rows}


async def test_uploads_count_in_the_quota():
    desk = Desk(quota=Quota(size_bytes=100))
    await desk.upload(b"x" * 60)
    with pytest.raises(OverQuota):
        await desk.upload(b"y" * 41)
    await desk.upload(b"y" * 40)


async def test_a_use_keeps_an_upload_for_a_day_and_without_one_it_goes(desk):
    kept, gone = await desk.upload(), await desk.upload()
    desk.now_ms += DAY_MS - 1
    assert set(await desk.uploader.use("alice", [kept.upload_id])) == {kept.upload_id}
    assert await desk.uploader.remove_expired() == 0
    desk.now_ms += 1
    with pytest.raises(NotFound):
        await desk.uploader.find("alice", gone.upload_id)
    assert await desk.uploader.remove_expired() == 1
    assert await desk.holders.list(gone.upload_id) == []
    assert len(await desk.holders.list(kept.upload_id)) == 1
    assert set(desk.uploads.rows) == {kept.upload_id}


async def test_the_oldest_give_way_but_not_within_an_hour():
    desk = Desk(config=UploadConfig(user_max=2, user_max_bytes=1_000))
    first = await desk.upload()
    desk.now_ms += HOUR_MS
    second = await desk.upload()
    await desk.upload()
    with pytest.raises(NotFound):
        await desk.uploader.find("alice", first.upload_id)
    with pytest.raises(TooManyUploads):
        await desk.upload()
    assert await desk.uploader.remove_expired() == 1
    assert await desk.holders.list(first.upload_id) == []
    assert await desk.uploader.find("alice", second.upload_id) == second


async def test_many_at_once_wait_in_turn():
    desk = Desk(config=UploadConfig(at_once=1, per_user=1, waiting_max=1))
    outcomes = await asyncio.gather(*(desk.upload() for _ in range(4)), return_exceptions=True)
    busy = sum(isinstance(each, DepositsBusy) for each in outcomes)
    assert 0 < busy < 4
    assert len(desk.uploads.rows) == 4 - busy


@pytest.mark.parametrize("kill_at", range(8))
async def test_a_kill_at_any_step_leaves_no_holder_without_a_row(desk, kill_at):
    """Upload, then delete; killed before one step. Later the housekeeping removes the rest."""
    steps = iter(range(99))

    def die(_name: str) -> None:
        if next(steps) == kill_at:
            raise Killed

    done = None
    for store in (desk.uploads, desk.contents, desk.holders):
        store.fault = die
    try:
        done = await desk.upload()
        await desk.uploader.delete("alice", done.upload_id)
    except Killed:
        pass
    for store in (desk.uploads, desk.contents, desk.holders):
        store.fault = lambda _name: None
    held = {mail_id for mail_id, _ in desk.holders.rows}
    assert held <= set(desk.uploads.rows), "a holder has a row"
    for row in await desk.uploads.uploads("alice", now_ms=desk.now_ms):
        assert await desk.uploader.content(row) == b"a picture", "what is shown is whole"
        assert await desk.holders.list(row.upload_id)
    desk.now_ms += DAY_MS
    await desk.uploader.remove_expired()
    assert not desk.uploads.rows
    assert not desk.holders.rows
    assert await desk.uploads.usage("alice", now_ms=0) == Usage()


def test_the_holder_names_owner_and_upload():
    assert upload_holder("u", "i") == "upload:u:i"
