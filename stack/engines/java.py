"""Search for a Java for an engine; the version is read from its `release` file if possible."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

JAVA_MIN_VERSION = 17
FETCHED_BY = "`POSTRIVER_PROFILE=distributed make run` fetches it"
INSTALLED = Path("/usr/lib/jvm")  # Debian's folder of all Javas


class JavaMissing(Exception):
    """No usable Java; the message says what was found and what to install."""


def find_java(
    java_home: Path | None = None,
    *,
    program: str = "Kafka",
    versions: range = range(JAVA_MIN_VERSION, sys.maxsize),
) -> Path:
    """Return the `java` of JAVA_HOME, else of the path, else of Debian's folder.

    Raises JavaMissing: no Java of `versions` is installed.
    """
    java = _candidate(java_home)
    if java is None:
        raise JavaMissing("no java found; install one: apt install default-jre-headless")
    version = java_version(java)
    if version in versions:
        return java
    others = sorted(INSTALLED.glob("*/bin/java")) if java_home is None else []
    suitable = (other for other in others if java_version(other) in versions)
    if (other := next(suitable, None)) is not None:
        return other
    last = "or newer" if versions.stop == sys.maxsize else f"to {versions.stop - 1}"
    needed = f"{program} needs {versions.start} {last}"
    raise JavaMissing(f"{java} is Java {version}, {needed}")


def heap_options(least_mib: int, most_mib: int) -> tuple[str, ...]:
    """JVM options of an engine: a heap of these sizes, and an end when it is full."""
    return (
        f"-Xms{least_mib}m",
        f"-Xmx{most_mib}m",
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
    )


def java_version(java: Path) -> int:
    """Return the feature version, 17 for 17.0.15; 0 if it is unknown."""
    try:
        text = (java.resolve().parent.parent / "release").read_text()
        found = re.search(r'^JAVA_VERSION="(\d+)', text, re.MULTILINE)
    except OSError:
        found = None
    if found is None:
        run = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
        found = re.search(r'version "(\d+)', run.stderr)
    return int(found.group(1)) if found else 0


def _candidate(java_home: Path | None) -> Path | None:
    if java_home is not None:
        java = java_home / "bin" / "java"
        return java if java.exists() else None
    found = shutil.which("java")
    return Path(found).resolve() if found else None
