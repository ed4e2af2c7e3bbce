"""Settings of engines that run elsewhere: a URL, and a file with the password of its user."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.config.engine_url import BadUrl, EngineUrl, UrlForm
from cli.config.sending import SendingSettings, sending_settings
from cli.config.setting_reader import BadSetting, SettingReader
from streams.topics.access_rules import USERS

PASSWORD_MAX_BYTES = 4096
HIDDEN = "(not shown)"
CLAMD, SPAMD, REDIS, S3 = "clamd", "spamd", "redis", "s3"
CASSANDRA, OPENSEARCH, KAFKA = "cassandra", "opensearch", "kafka"
FORMS = {
    CLAMD: UrlForm(scheme=CLAMD, port=3310, hosts_max=1, tls=False),
    SPAMD: UrlForm(scheme=SPAMD, port=783, hosts_max=1, tls=False),
    REDIS: UrlForm(scheme=REDIS, port=6379, hosts_max=1, user="optional"),
    S3: UrlForm(
        scheme=S3, port=443, hosts_max=1, user="required", path="bucket", words=("region",)
    ),
    CASSANDRA: UrlForm(
        scheme=CASSANDRA,
        port=9042,
        user="required",
        numbers={"replicas": (1, 9)},
        words=("datacenter",),
    ),
    OPENSEARCH: UrlForm(
        scheme=OPENSEARCH,
        port=9200,
        user="optional",
        numbers={"shards": (1, 1024), "replicas": (0, 9)},
    ),
    KAFKA: UrlForm(
        scheme=KAFKA,
        port=9092,
        user="required",
        numbers={"replicas": (1, 9), "min_insync": (1, 9)},
    ),
}
SCANNERS = (CLAMD, SPAMD)
IN_BOTH_PROFILES = (*SCANNERS, KAFKA)
KAFKA_REPLICAS, KAFKA_IN_SYNC = 3, 2  # of a cluster, if the URL says nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings(SendingSettings):
    """The part of Config about engines, after that of submissions. None: it runs on this machine.

    A file has the password of the URL's user.
    """

    clamd: EngineUrl | None
    spamd: EngineUrl | None
    redis: EngineUrl | None
    redis_password_file: Path | None
    s3: EngineUrl | None
    s3_password_file: Path | None  # the secret key
    cassandra: EngineUrl | None
    cassandra_password_file: Path | None
    opensearch: EngineUrl | None
    opensearch_password_file: Path | None
    kafka: EngineUrl | None
    kafka_password_file: Path | None

    def external(self) -> Iterator[tuple[str, EngineUrl]]:
        """The engines that run elsewhere, by name."""
        for name in FORMS:
            if (url := getattr(self, name)) is not None:
                yield name, url

    @property
    def kafka_replicas(self) -> tuple[int, int]:
        """Replicas of a topic, and how many of them an acknowledgement waits for."""
        return (1, 1) if self.kafka is None else _kafka_replicas(self.kafka)

    @property
    def scanner_addresses(self) -> dict[str, tuple[str, int]]:
        """Host and port of the scanners that run elsewhere, by name."""
        found = dict(self.external())
        return {
            name: (found[name].hosts[0], found[name].port) for name in SCANNERS if name in found
        }

    def check_external(self) -> None:
        """Raises BadSetting: a file that a URL needs cannot be read."""
        for name, url in self.external():
            self.password_of(name)
            try:
                url.ssl_context()
            except OSError as error:
                expected = error.strerror or str(error)
                raise BadSetting(f"POSTRIVER_{name.upper()}", f"ca={url.ca}", expected) from error

    def password_of(self, engine: str) -> str:
        """Read the password for the user of the URL. Raises BadSetting: its file has none."""
        path: Path | None = getattr(self, f"{engine}_password_file", None)
        return "" if path is None else _password(f"POSTRIVER_{_file(engine)}", path)


def engine_settings(read: SettingReader, *, profile: str) -> dict[str, Any]:
    """The fields of EngineSettings. Raises BadSetting, without the text of a URL."""
    urls = {name: _url(read, name) for name in FORMS}
    for name, url in urls.items():
        if url and profile == "embedded" and name not in IN_BOTH_PROFILES:
            raise BadSetting(f"POSTRIVER_{name.upper()}", HIDDEN, "is for the profile distributed")
    files = {
        f"{name}_password_file": _password_file(read, name, urls[name])
        for name, form in FORMS.items()
        if form.user != "none"
    }
    for name in (CASSANDRA, KAFKA):
        url = urls[name]
        if url and url.user in USERS:
            expected = f"another user than those of processes: {', '.join(USERS)}"
            raise BadSetting(f"POSTRIVER_{name.upper()}", HIDDEN, expected)
    cluster = urls[KAFKA]
    if cluster and (found := _kafka_replicas(cluster))[0] < found[1]:
        expected = "min_insync is at most replicas"
        raise BadSetting("POSTRIVER_KAFKA", HIDDEN, expected)
    if urls[CLAMD] and read.text("SIGNATURES", "local") == "update":
        expected = "local with POSTRIVER_CLAMD: signatures are updated where clamd runs"
        raise BadSetting("POSTRIVER_SIGNATURES", "update", expected)
    return {**sending_settings(read), **urls, **files}


def _kafka_replicas(url: EngineUrl) -> tuple[int, int]:
    replicas = url.number("replicas", KAFKA_REPLICAS)
    return replicas, url.number("min_insync", min(KAFKA_IN_SYNC, replicas))


def _url(read: SettingReader, name: str) -> EngineUrl | None:
    text = read.text(name.upper(), "")
    if not text:
        return None
    form = FORMS[name]
    try:
        return EngineUrl.parse(text, form)
    except BadUrl as error:
        raise BadSetting(f"POSTRIVER_{name.upper()}", HIDDEN, f"{error}; {form}") from error


def _password_file(read: SettingReader, name: str, url: EngineUrl | None) -> Path | None:
    """The file of a password. A user needs one; only Redis has a password without a user."""
    path = read.path(_file(name))
    if path is None and url is not None and url.user:
        raise BadSetting(f"POSTRIVER_{_file(name)}", "", "a file with the password of the user")
    if path is not None and url is None:
        expected = f"none without POSTRIVER_{name.upper()}"
        raise BadSetting(f"POSTRIVER_{_file(name)}", str(path), expected)
    return path


def _file(engine: str) -> str:
    return f"{engine.upper()}_PASSWORD_FILE"


def _password(setting: str, path: Path) -> str:
    """The first line of the file."""
    try:
        with path.open("rb") as file:
            line = file.read(PASSWORD_MAX_BYTES).partition(b"\n")[0].rstrip(b"\r")
        password = line.decode("utf-8")
    except OSError as error:
        raise BadSetting(setting, str(path), error.strerror or str(error)) from error
    except UnicodeDecodeError:
        raise BadSetting(setting, str(path), "a file of UTF-8 text") from None
    if not password:
        raise BadSetting(setting, str(path), "a file with the password in its first line")
    return password
