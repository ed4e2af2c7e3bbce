"""Machine and versions of a benchmark run."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.stack import ROOT

PACKAGES = (
    "aiohttp", "aiokafka", "aiosmtpd", "faust-streaming", "mode-streaming",
    "msgspec", "uvloop",
)  # fmt: skip


def machine() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
    }


def versions() -> dict[str, str]:
    return {
        "commit": _output("git", "describe", "--always", "--dirty", "--exclude=*"),
        "python": sys.version.split()[0],
        "kafka": _kafka(),
        "java": _output("java", "--version").partition("\n")[0],
        "clamd": _output("/usr/sbin/clamd", "--version"),
        **{name: version(name) for name in PACKAGES},
    }


def load_average() -> list[float]:
    return [round(average, 2) for average in os.getloadavg()]


def _cpu_model() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1].strip() if model else platform.machine()


def _kafka() -> str:
    jars = [jar.stem for jar in (ROOT / ".tools" / "kafka" / "lib").glob("kafka_*.jar")]
    return jars[0].rpartition("-")[2] if jars else "unknown"


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
