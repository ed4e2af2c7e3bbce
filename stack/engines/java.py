"""Search for a Java for the broker; the version is read from its `release` file if possible."""

import re
import shutil
import subprocess
from pathlib import Path

JAVA_MIN_VERSION = 17


class JavaMissing(Exception):
    """No usable Java; the message says what was found and what to install."""


def find_java(java_home: Path | None = None) -> Path:
    """Return the `java` of JAVA_HOME, else of the path. Raises JavaMissing: older than 17."""
    java = _candidate(java_home)
    if java is None:
        raise JavaMissing("no java found; install one: apt install default-jre-headless")
    version = java_version(java)
    if version < JAVA_MIN_VERSION:
        raise JavaMissing(f"{java} is Java {version}, Kafka needs {JAVA_MIN_VERSION} or newer")
    return java


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
