"""Plan of a chaos run: the faults, their times and durations, all derived from a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.stack_world import PROFILE

from . import clocks, disk, wire

IS_DISTRIBUTED = PROFILE == "distributed"
STORES = ("cassandra", "opensearch", "redis", "versitygw") if IS_DISTRIBUTED else ()
ENGINES = ("kafka", "clamd", "spamd", *STORES)
ROLES = (
    "ingress", "intake", "scan", "relay", "mailbox", "index", "custody", "api", "msa", "pop3",
)  # fmt: skip
EVERYTHING = "everything"
SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault and its victim.

    `kind` is killed, frozen, cut off, full, power cut, clock set or backed up. During the fault
    "clock set" a clock is `offset_s` seconds ahead.
    """

    kind: str
    victim: str
    offset_s: int = 0

    def __str__(self) -> str:
        by = f" by {self.offset_s / 3600:+.0f} h" if self.offset_s else ""
        return f"{self.victim} {self.kind}{by}"


@dataclass(frozen=True, slots=True)
class Round:
    """A fault that begins after `wait_s` seconds and lasts `for_s` seconds."""

    fault: Fault
    wait_s: float
    for_s: float

    def __str__(self) -> str:
        return f"after {self.wait_s:.1f} s: {self.fault} for {self.for_s:.1f} s"


KILLED = [Fault("killed", name) for name in (*ENGINES, *ROLES, SUPERVISOR, EVERYTHING)]
FROZEN = [Fault("frozen", name) for name in (*ENGINES, *ROLES, EVERYTHING)]
CUT_SOCKETS = [Fault("cut off", name) for name in ("clamd", "spamd", "redis") if name in ENGINES]
CUT_PORTS = [
    Fault("cut off", name)
    for name in ("kafka", "ingress", "api", "pop3", *(name for name in STORES if name != "redis"))
]
CLOCKS = [Fault("clock set", name, by) for name in ROLES for by in clocks.OFFSETS_S]
BACKED_UP = [Fault("backed up", EVERYTHING)]
DISK = [Fault("full", "disk"), Fault("power cut", EVERYTHING)]


def possible() -> dict[str, list[Fault]]:
    """Return the possible faults on this machine by kind; all kinds are equally likely."""
    cut = CUT_SOCKETS + (CUT_PORTS if wire.why_not() is None else [])
    kinds = {"killed": KILLED, "frozen": FROZEN, "cut off": cut}
    kinds |= {} if IS_DISTRIBUTED else {"backed up": BACKED_UP}
    kinds |= {} if clocks.why_not() else {"clock set": CLOCKS}
    return kinds | ({} if disk.why_not() else {fault.kind: [fault] for fault in DISK})


def impossible() -> list[str]:
    """Return the kinds of faults that are not possible on this machine, with the reasons."""
    reasons = {
        "full, power cut": disk.why_not(),
        "cut off by port": wire.why_not(),
        "clock set": clocks.why_not(),
    }
    return [f"{kind}: {why}" for kind, why in reasons.items() if why]


def long_plan(seed: int, *, rounds: int, frozen_s: float) -> list[Round]:
    """Return `rounds` faults of any kind, for a long run."""
    chance = random.Random(seed)
    kinds = possible()
    chosen = [chance.choice(kinds[chance.choice(sorted(kinds))]) for _ in range(rounds)]
    return [timed(fault, chance, frozen_s) for fault in chosen]


def short_plan(seed: int) -> list[Round]:
    """Return a plan for every test run: two minutes, without clocks and without a second stack."""
    chance = random.Random(seed)
    kinds = possible()
    lasting = [*kinds["cut off"], *kinds.get("full", ())]
    chosen = [chance.choice(KILLED), Fault("frozen", EVERYTHING), chance.choice(lasting)]
    chosen += kinds.get("power cut", ())
    chance.shuffle(chosen)
    return [timed(fault, chance, 12.0) for fault in chosen]


def stores_plan(seed: int, *, cut_s: float) -> list[Round]:
    """Return a plan in which each engine is away once, or killed where it cannot be cut off."""
    chance = random.Random(seed)
    names = [*STORES, "kafka"]
    chance.shuffle(names)
    cut = {fault.victim: fault for fault in possible()["cut off"]}
    faults = [cut.get(name, Fault("killed", name)) for name in names]
    return [Round(fault, chance.uniform(2, 5), cut_s) for fault in faults]


def timed(fault: Fault, chance: random.Random, frozen_s: float) -> Round:
    """Return the round of a fault, with random times; a kill has no duration."""
    duration_s = {
        "frozen": frozen_s,
        "cut off": chance.uniform(4, 12),
        "full": chance.uniform(4, 10),
        "clock set": chance.uniform(8, 20),
    }
    return Round(fault, chance.uniform(2, 5), duration_s.get(fault.kind, 0.0))


def description(seed: int, plan: Sequence[Round]) -> str:
    lines = [f"seed {seed}", *(f"  {round_}" for round_ in plan)]
    return "\n".join([*lines, *(f"  not tried here: {why}" for why in impossible())])
