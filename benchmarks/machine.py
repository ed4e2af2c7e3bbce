"""Where and with what a run was made."""

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
    found = {name: version(name) for name in PACKAGES}
    return {
        "commit": _says("git", "describe", "--always", "--dirty", "--exclude=*"),
        "python": sys.version.split()[0],
        "kafka": _kafka(),
        "java": _says("java", "--version").partition("\n")[0],
        "clamd": _says("/usr/sbin/clamd", "--version"),
        **found,
    }


def load_average() -> list[float]:
    return [round(one, 2) for one in os.getloadavg()]


def _cpu_model() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _kafka() -> str:
    jars = [jar.stem for jar in (ROOT / ".tools" / "kafka" / "lib").glob("kafka_*.jar")]
    return jars[0].rpartition("-")[2] if jars else "unknown"


def _says(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
