"""What is done to a stack, when and for how long: all of it follows from a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from . import clocks, disk, wire

ENGINES = ("kafka", "clamd", "spamd")
ROLES = ("ingress", "intake", "scan", "mailbox", "index", "custody", "api")
EVERYTHING = "everything"
SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to whom.

    `kind` is killed, frozen, cut off, full, power cut, clock set or backed up; a clock is off by
    `offset_s` for as long as the fault stands.
    """

    kind: str
    victim: str
    offset_s: int = 0

    def __str__(self) -> str:
        by = f" by {self.offset_s / 3600:+.0f} h" if self.offset_s else ""
        return f"{self.victim} {self.kind}{by}"


@dataclass(frozen=True, slots=True)
class Round:
    """After `wait_s` of quiet the fault stands for `for_s`."""

    fault: Fault
    wait_s: float
    for_s: float

    def __str__(self) -> str:
        return f"after {self.wait_s:.1f} s: {self.fault} for {self.for_s:.1f} s"


KILLED = [Fault("killed", name) for name in (*ENGINES, *ROLES, SUPERVISOR, EVERYTHING)]
FROZEN = [Fault("frozen", name) for name in (*ENGINES, *ROLES, EVERYTHING)]
CUT_SOCKETS = [Fault("cut off", name) for name in ("clamd", "spamd")]
CUT_PORTS = [Fault("cut off", name) for name in ("kafka", "ingress", "api")]
CLOCKS = [Fault("clock set", name, by) for name in ROLES for by in clocks.OFFSETS_S]
BACKED_UP = [Fault("backed up", EVERYTHING)]
DISK = [Fault("full", "disk"), Fault("power cut", EVERYTHING)]


def possible() -> dict[str, list[Fault]]:
    """The faults that this machine lets us make, by kind; each kind is as likely as another."""
    cut = CUT_SOCKETS + (CUT_PORTS if wire.why_not() is None else [])
    kinds = {"killed": KILLED, "frozen": FROZEN, "cut off": cut, "backed up": BACKED_UP}
    kinds |= {} if clocks.why_not() else {"clock set": CLOCKS}
    return kinds | ({} if disk.why_not() else {fault.kind: [fault] for fault in DISK})


def impossible() -> list[str]:
    """What cannot be tried here, and why."""
    reasons = {
        "full, power cut": disk.why_not(),
        "cut off by port": wire.why_not(),
        "clock set": clocks.why_not(),
    }
    return [f"{what}: {why}" for what, why in reasons.items() if why]


def long_plan(seed: int, *, rounds: int, frozen_s: float) -> list[Round]:
    """`rounds` faults of any kind, for a run that takes its time."""
    chance = random.Random(seed)
    kinds = possible()
    chosen = [chance.choice(kinds[chance.choice(sorted(kinds))]) for _ in range(rounds)]
    return [timed(fault, chance, frozen_s) for fault in chosen]


def short_plan(seed: int) -> list[Round]:
    """What every run of the tests can afford: two minutes, no clocks and no second stack."""
    chance = random.Random(seed)
    kinds = possible()
    lasting = [*kinds["cut off"], *kinds.get("full", ())]
    chosen = [chance.choice(KILLED), Fault("frozen", EVERYTHING), chance.choice(lasting)]
    chosen += kinds.get("power cut", ())
    chance.shuffle(chosen)
    return [timed(fault, chance, 12.0) for fault in chosen]


def timed(fault: Fault, chance: random.Random, frozen_s: float) -> Round:
    """A kill is done at once; the rest lasts."""
    lasts = {
        "frozen": frozen_s,
        "cut off": chance.uniform(4, 12),
        "full": chance.uniform(4, 10),
        "clock set": chance.uniform(8, 20),
    }
    return Round(fault, chance.uniform(2, 5), lasts.get(fault.kind, 0.0))


def told(seed: int, plan: Sequence[Round]) -> str:
    lines = [f"seed {seed}", *(f"  {one}" for one in plan)]
    return "\n".join([*lines, *(f"  not tried here: {why}" for why in impossible())])
