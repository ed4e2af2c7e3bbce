"""Budgets of the webmail and its table; a budget is for the full CPU or a quarter of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

FULL, QUARTER = "1", "4"  # keys of a saved result, by throttling rate
Figures = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class Budget:
    what: str
    unit: str
    limits: dict[str, float] = field(default_factory=dict)


BUDGETS = {
    "js_kb": Budget("JavaScript of the first screen", "KB", {FULL: 70}),
    "modules": Budget("its files", "", {FULL: 16}),
    "composer_kb": Budget("JavaScript of the composer", "KB", {FULL: 45}),
    "settings_kb": Budget("JavaScript of the settings", "KB", {FULL: 10}),
    "admin_kb": Budget("JavaScript of the operator's pages", "KB", {FULL: 20}),
    "css_kb": Budget("style sheets", "KB", {FULL: 14}),
    "page_kb": Budget("the page with its icons", "KB", {FULL: 6}),
    "words_kb": Budget("words of a language", "KB", {FULL: 6}),
    "cold_requests": Budget("requests to the first list, cold", "", {FULL: 26}),
    "cold_kb": Budget("received to the first list, cold", "KB", {FULL: 110}),
    "warm_requests": Budget("requests to the first list, warm", "", {FULL: 3}),
    "warm_kb": Budget("received to the first list, warm", "KB", {FULL: 15}),
    "first_cold_ms": Budget("first list, cold", "ms", {QUARTER: 1_000}),
    "first_warm_ms": Budget("first list, warm", "ms", {QUARTER: 450}),
    "first_device_ms": Budget("first list from the device", "ms", {QUARTER: 300}),
    "first_far_ms": Budget("first list, cold, 40 ms away", "ms", {QUARTER: 1_300}),
    "live_cold_ms": Budget("the page answers keys, cold", "ms"),
    "live_warm_ms": Budget("the page answers keys, warm", "ms"),
    "open_prefetched_ms": Budget("open a mail that was prefetched, p95", "ms", {QUARTER: 50}),
    "open_ms": Budget("open another mail, p95", "ms", {FULL: 100, QUARTER: 150}),
    "archive_ms": Budget("archive: key to paint, p95", "ms", {QUARTER: 50}),
    "star_ms": Budget("star: key to paint, p95", "ms", {QUARTER: 50}),
    "select_ms": Budget("select: key to paint, p95", "ms", {QUARTER: 50}),
    "inp_ms": Budget("slowest interaction of these (INP)", "ms", {QUARTER: 100}),
    "screen_p50_ms": Budget("`250` to the row on the screen, idle, p50", "ms", {FULL: 100}),
    "screen_p99_ms": Budget("`250` to the row on the screen, idle, p99", "ms", {FULL: 250}),
    "frame_ms": Budget("frames of a fling of 4,000 px a frame, p95", "ms", {FULL: 17, QUARTER: 34}),
    "missing_ms": Budget("rows missing after it stops, most", "ms", {FULL: 250, QUARTER: 250}),
    "jump_answer_ms": Budget("jump to the middle: answer", "ms", {FULL: 40}),
    "jump_ms": Budget("jump to the middle: rows on the screen", "ms", {QUARTER: 250}),
    "search_ms": Budget("search: Enter to the first rows, p95", "ms", {FULL: 150}),
    "heap_mb": Budget("heap after scrolling through all", "MB", {FULL: 30}),
    "nodes": Budget("elements of the document then", "", {FULL: 2_500}),
    "empty_load_ms": Budget("an empty page instead: first paint", "ms"),
    "empty_key_ms": Budget("an empty page: key to paint, p95", "ms"),
    "empty_mail_ms": Budget("an empty page: click to a mail in a new frame, p95", "ms"),
    "empty_moved_ms": Budget("an empty page: click to a mail that was loaded before, p95", "ms"),
    "empty_frame_ms": Budget("an empty page: frames of the same fling, p95", "ms"),
}


def rows(figures: Figures) -> list[list[str]]:
    """Return the rows of the table: what, budget, figure at each rate, verdict."""
    return [
        [
            budget.what,
            _limits(budget),
            *(_figure(figures, key, rate, budget.unit) for rate in (FULL, QUARTER)),
            _verdict(figures, key, budget),
        ]
        for key, budget in BUDGETS.items()
    ]


def _limits(budget: Budget) -> str:
    shown = [f"{limit:,} {budget.unit}".strip() for limit in budget.limits.values()]
    return "; ".join(
        f"{text} at a quarter" if rate == QUARTER else text
        for rate, text in zip(budget.limits, shown, strict=True)
    )


def _figure(figures: Figures, key: str, rate: str, unit: str) -> str:
    value = figures.get(rate, {}).get(key)
    return "" if value is None else f"{value:,} {unit}".strip()


def _verdict(figures: Figures, key: str, budget: Budget) -> str:
    if not budget.limits:
        return ""
    found = {rate: figures.get(rate, {}).get(key) for rate in budget.limits}
    if any(value is None for value in found.values()):
        return "not measured"
    kept = all(value is not None and value <= budget.limits[rate] for rate, value in found.items())
    return "kept" if kept else "**missed**"
