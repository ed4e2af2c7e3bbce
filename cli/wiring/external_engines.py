"""How the adapters reach the engines: on this machine, or at the URL of a setting."""

from pathlib import Path

from cli.config.config import Config
from cli.config.engines import OPENSEARCH, REDIS, S3
from cli.config.setting_reader import BadSetting
from stack.engines.versitygw import BUCKET, bucket_folder, keys
from stack.state_folder import existing
from stores.opensearch.client import SearchClusterConfig
from stores.redis.client import RedisConfig
from stores.s3.objects import ObjectsConfig


def redis_config(config: Config) -> RedisConfig:
    """Raises BadSetting: the file of the password cannot be read."""
    url = config.redis
    if url is None:
        return RedisConfig(address=existing(config.home).socket(REDIS))
    return RedisConfig(
        address=(url.hosts[0], url.port),
        user=url.user,
        password=config.password_of(REDIS),
        tls=url.tls,
        ca=url.ca,
    )


def objects_config(config: Config) -> ObjectsConfig:
    """Raises BadSetting: a file cannot be read."""
    url = config.s3
    if url is None:
        home = existing(config.home)
        access_key, secret_key = keys(home)
        return ObjectsConfig(
            endpoint=f"http://127.0.0.1:{config.s3_port}",
            access_key=access_key,
            secret_key=secret_key,
            bucket=BUCKET,
            folder=bucket_folder(home),
        )
    return ObjectsConfig(
        endpoint=f"http{'s' * url.tls}://{url.servers[0]}",
        access_key=url.user,
        secret_key=config.password_of(S3),
        bucket=url.path,
        region=url.word("region", "us-east-1"),
        ca=_certificates("POSTRIVER_S3", url.ca),
    )


def search_config(config: Config) -> SearchClusterConfig:
    """Raises BadSetting: a file cannot be read."""
    url = config.opensearch
    if url is None:
        return SearchClusterConfig(port=config.opensearch_port)
    return SearchClusterConfig(
        hosts=url.hosts,
        port=url.port,
        user=url.user,
        password=config.password_of(OPENSEARCH),
        tls=url.ssl_context(),
        shards=url.number("shards", 1),
        replicas=url.number("replicas", 1),
    )


def _certificates(setting: str, path: Path | None) -> bytes:
    try:
        return path.read_bytes() if path else b""
    except OSError as error:
        raise BadSetting(setting, str(path), error.strerror or str(error)) from error
