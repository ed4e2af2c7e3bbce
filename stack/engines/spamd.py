"""SpamAssassin's spamd on a unix socket with local tests only: no DNS, no network.

Rules are Debian's. Plugins and settings are set here, so a start does not depend on other uses of
SpamAssassin on this machine.
"""

from dataclasses import dataclass
from pathlib import Path

from stack.state_folder import StateFolder
from stack.supervision.probes import PingProbe
from stack.supervision.program import Program, ProgramKind, base_env

NAME = "spamd"
MEMORY_MAX_BYTES = 2 * 1024**3  # each worker; a mail of READ_MAX_BYTES takes about 200 MiB
READ_MAX_BYTES = 512 * 1024  # clients send no more of a mail than this

# Plugins that need the mail only. Rules of other plugins are inside `ifplugin`.
_PLUGINS = (
    "Check", "HTTPSMismatch", "URIDetail", "BodyEval", "DNSEval", "HTMLEval", "HeaderEval",
    "MIMEEval", "RelayEval", "URIEval", "WLBLEval", "VBounce", "ImageInfo", "FreeMail",
    "MIMEHeader", "ReplaceTags", "WelcomeListSubject",
)  # fmt: skip

_SETTINGS = """\
required_score {threshold}
report_safe 0
use_bayes 0
bayes_auto_learn 0
dns_available no
skip_rbl_checks 1
skip_uribl_checks 1
normalize_charset 1
time_limit 60
"""


class SpamdMissing(Exception):
    """No spamd on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamdConfig:
    program: Path = Path("/usr/sbin/spamd")
    workers: int = 2
    threshold: float = 5.0  # spamd's own threshold; callers use the score


def spamd(home: StateFolder, config: SpamdConfig | None = None) -> Program:
    """Write the configuration and return the program. Raises SpamdMissing."""
    config = config or SpamdConfig()
    if not config.program.exists():
        raise SpamdMissing(f"no {config.program}; install it: apt install spamd")
    folder = home.engine(NAME)
    site = _write_site(folder, config)
    return Program(
        name=NAME,
        kind=ProgramKind.ENGINE,
        argv=(
            str(config.program),
            f"--socketpath={home.socket(NAME)}",
            "--socketmode=0600",
            "--local",
            "--nouser-config",
            f"--max-children={config.workers}",
            f"--min-children={config.workers}",
            "--timeout-child=100",  # above time_limit, below the scanner adapter's timeout
            f"--siteconfigpath={site}",
            f"--helper-home-dir={folder}",
            f"--pidfile={home.run / 'spamd.pid'}",
            "--syslog=stderr",
        ),
        env=base_env(home),
        cwd=folder,
        ready=ping(home),
        detail="local tests only",
        unhealthy_after=24,
        memory_max_bytes=MEMORY_MAX_BYTES,
    )


def ping(home: StateFolder) -> PingProbe:
    return ping_at(home.socket(NAME))


def ping_at(address: Path | tuple[str, int]) -> PingProbe:
    return PingProbe(address, b"PING SPAMC/1.5\r\n\r\n", b"PONG")


def _write_site(folder: Path, config: SpamdConfig) -> Path:
    site = folder / "site"
    site.mkdir(mode=0o700, exist_ok=True)
    plugins = "".join(f"loadplugin Mail::SpamAssassin::Plugin::{name}\n" for name in _PLUGINS)
    (site / "init.pre").write_text(plugins, encoding="ascii")
    settings = _SETTINGS.format(threshold=config.threshold)
    (site / "local.cf").write_text(settings, encoding="ascii")
    return site
