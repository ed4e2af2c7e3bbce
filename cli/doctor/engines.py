"""Engines: installed versions, configuration files, whether they answer, virus signatures."""

import hashlib
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cli.config.config import Config, checkout
from cli.doctor import distributed, external
from cli.doctor.finding import Finding, note, ok, problem
from cli.programs import clamd_config, kafka_config
from stack.engines import clamd, kafka, spamd
from stack.engines import virus_signatures as signatures
from stack.engines.java import JavaMissing, find_java, java_version
from stack.state_folder import StateFolder
from stack.supervision.probes import KafkaProbe, Probe, TcpProbe

VERSION_LIMIT_S = 5.0
VERY_OLD_S = 14 * 86_400.0
JARS = Path(kafka.__file__).with_name("jars.sha256")
WEB_FILES = checkout() / "web-vendor" / "files.sha256"
RESTART = "postriver down; postriver up"


def versions(config: Config) -> list[Finding]:
    """Check the installed versions of Java, Kafka and the scanners."""
    kafka_jars, libraries = config.tools / "kafka" / "lib", config.tools / "web"
    kafka_here = [] if config.kafka else [*_java(), *_kafka(kafka_jars)]
    found = [*kafka_here, *_webmail(libraries), *_scanners(config)]
    return found if config.profile == "embedded" else [*found, *distributed.versions(config)]


def _java() -> list[Finding]:
    try:
        java = find_java()
    except JavaMissing as error:
        return [problem("java", str(error), "apt install default-jre-headless")]
    return [ok("java", f"{java_version(java)} at {java}")]


def _kafka(lib: Path) -> list[Finding]:
    jars = sorted(lib.glob("kafka_*.jar"))
    if not jars:
        return [problem("kafka", f"no Kafka in {lib}", "make run fetches it")]
    if wrong := wrong_files(lib):
        what = f"{lib}: not as listed: {', '.join(wrong[:3])}, {len(wrong)} in all"
        return [problem("kafka", what, "compare them; rm -r them, then make run")]
    return [ok("kafka", jars[0].stem.rpartition("-")[2])]


def _webmail(libraries: Path) -> list[Finding]:
    """Check the libraries that run in the browser of every user."""
    if not libraries.is_dir():
        return [problem("webmail", f"no libraries in {libraries}", "make run fetches them")]
    if wrong := wrong_files(libraries, WEB_FILES):
        what = f"{libraries}: not as listed: {', '.join(wrong[:3])}, {len(wrong)} in all"
        return [problem("webmail", what, "compare them; rm -r them, then make run")]
    return [ok("webmail", f"libraries as listed in {WEB_FILES.name}")]


def wrong_files(lib: Path, listed: Path = JARS) -> list[str]:
    """Return the files in `lib` that differ from the list, are missing or are not listed."""
    lines = listed.read_text(encoding="ascii").splitlines() if listed.exists() else []
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    present = {path.name: _sha256(path) for path in lib.iterdir()}
    names = present.keys() | expected.keys()
    return sorted(name for name in names if present.get(name) != expected.get(name))


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_SCANNERS = {  # program and package
    "clamd": ("/usr/sbin/clamd", "clamav-daemon"),
    "spamd": ("/usr/sbin/spamd", "spamd"),
}


def _scanners(config: Config) -> list[Finding]:
    programs = {
        name: found for name, found in _SCANNERS.items() if name not in config.scanner_addresses
    }
    if config.signatures == "update":
        programs["freshclam"] = ("/usr/bin/freshclam", "clamav-freshclam")
    return [_version(name, program, package) for name, (program, package) in programs.items()]


def _version(name: str, program: str, package: str) -> Finding:
    try:
        output = subprocess.run(  # noqa: S603  (one of three fixed programs)
            [program, "--version"], capture_output=True, text=True, check=False,
            timeout=VERSION_LIMIT_S,
        ).stdout  # fmt: skip
    except FileNotFoundError:
        return problem(name, f"no {program}", f"apt install {package}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return problem(name, f"{program}: {error}", f"apt install --reinstall {package}")
    number = re.search(r"\d+\.\d+(\.\d+)?", output)
    return ok(name, number.group() if number else output.strip()[:60])


def configurations(config: Config, home: StateFolder) -> list[Finding]:
    """Compare the configuration files of running engines with those this version writes."""
    found: list[Finding] = []
    if config.kafka is None:
        properties = kafka.properties(home, kafka_config(config))
        found += _compare("server.properties", kafka.properties_path(home), properties, "=")
    if config.clamd is None:
        folder = signatures.folder_for(home, update=config.signatures == "update")
        text = clamd.configuration(home, clamd_config(config), folder)
        expected = dict(line.split(" ", 1) for line in text.splitlines())
        found += _compare("clamd.conf", clamd.conf_path(home), expected, " ")
    return found


def _compare(check: str, path: Path, expected: Mapping[str, str], separator: str) -> list[Finding]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        return [problem(check, f"{path}: {error.strerror}", RESTART)]
    present = dict(line.partition(separator)[::2] for line in lines)
    differences = [
        f"{name} is {present.get(name, 'unset')}, expected {expected.get(name, 'unset')}"
        for name in sorted(present.keys() | expected.keys())
        if present.get(name) != expected.get(name)
    ]
    if not differences:
        return [ok(check, "as this version writes it")]
    do = f"{RESTART}: each start writes the file"
    return [problem(check, f"{path}: {difference}", do) for difference in differences]


_ROLE_OF = {  # of a probe
    "smtp": "ingress", "http": "api", "pop3s": "pop3", "submission": "msa", "submissions": "msa",
}  # fmt: skip


async def answering(config: Config, home: StateFolder) -> list[Finding]:
    """Probe engines, SMTP, HTTP, submission and POP3 of a running stack."""
    probes: dict[str, Probe] = {
        "kafka": KafkaProbe(config.ports.kafka),
        "clamd": clamd.ping(home),
        "spamd": spamd.ping(home),
        "smtp": TcpProbe(config.ports.smtp, _reachable(config.bind)),
        "http": TcpProbe(config.ports.http, _reachable(config.bind)),
        "submission": TcpProbe(config.ports.submission, _reachable(config.bind)),
        "submissions": TcpProbe(config.ports.submissions, _reachable(config.bind)),
        "pop3": TcpProbe(config.ports.pop3, _reachable(config.bind)),
        "pop3s": TcpProbe(config.ports.pop3s, _reachable(config.bind)),
    }
    if config.profile == "distributed":
        probes |= distributed.probes(config, home)
    for name, _ in config.external():
        del probes[name]
    findings = await external.answering(config)
    for name, probe in probes.items():
        reason = await probe()
        log = home.log / f"{_ROLE_OF.get(name, name)}.log"
        what = f"{name} answers" if reason is None else f"{name}: {reason}"
        findings.append(
            ok("answers", what) if reason is None else problem("answers", what, f"tail {log}")
        )
    return findings


def _reachable(bind: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104  (not bound to)


def virus_signatures(current: signatures.Signatures, *, update: bool) -> list[Finding]:
    """Check the age of the signatures. `update`: freshclam is to fetch them."""
    fetch = "tail HOME/log/freshclam.log" if update else "POSTRIVER_SIGNATURES=update, then restart"
    if current.age_s is None:  # updates were asked for and are missing, or local signatures only
        finding = problem if update else note
        return [finding("signatures", f"{current}: no real virus would be found", fetch)]
    if current.age_s > VERY_OLD_S:
        return [problem("signatures", str(current), fetch)]
    if current.age_s > signatures.OLD_S:
        return [note("signatures", str(current), fetch)]
    return [ok("signatures", str(current))]
