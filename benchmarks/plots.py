"""Bar charts of a result as SVG, written without a library."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH = 640
LABEL_WIDTH = 130
ROW = 22
BARS = ("#9db4c0", "#253237")  # budget, measured
TEXT = 'font-family="sans-serif" font-size="12" fill="#253237"'


def charts(result: Mapping[str, Any], budget_ms: Mapping[str, tuple[float, str]]) -> dict[str, str]:
    """Return the SVG charts by name."""
    spent = result["flow"]["cpu_ms_per_mail"]
    push = result["push"]
    return {
        "cpu": bars(
            "CPU a mail, ms: budget and measured",
            [(name, (budget, spent[name])) for name, (budget, _) in budget_ms.items()],
        ),
        "push": bars(
            "From 250 to the owner's screen, ms: p50 and p99",
            [(f"{name}, {figures['per_s']}/s", (figures["p50_ms"], figures["p99_ms"]))
             for name, figures in push.items()],
        ),
    }  # fmt: skip


def bars(title: str, rows: Sequence[tuple[str, tuple[float, float]]]) -> str:
    """Return a chart with two bars for each label, the first value above the second."""
    most = max(max(values) for _, values in rows) or 1.0
    scale = (WIDTH - LABEL_WIDTH - 60) / most
    height = ROW * (2 * len(rows) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="8" y="{ROW}" {TEXT} font-weight="bold">{escape(title)}</text>',
    ]
    for number, (label, values) in enumerate(rows):
        top = ROW * (2 * number + 1.5)
        parts.append(f'<text x="8" y="{top + 18:.0f}" {TEXT}>{escape(label)}</text>')
        for which, value in enumerate(values):
            y, length = top + which * (ROW - 8), max(1.0, value * scale)
            parts.append(
                f'<rect x="{LABEL_WIDTH}" y="{y:.0f}" width="{length:.0f}" height="{ROW - 10}"'
                f' fill="{BARS[which]}"/>'
                f'<text x="{LABEL_WIDTH + length + 5:.0f}" y="{y + 10:.0f}" {TEXT}>{value:g}</text>'
            )
    return "\n".join([*parts, "</svg>\n"])
