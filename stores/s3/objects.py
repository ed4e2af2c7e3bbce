"""Objects in one bucket, by obstore: large objects in parts, each with a checksum, with retries."""

import asyncio
import hashlib
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from mail.durable_files import sync_file_of
from mail.errors import StoreUnavailable

ENGINE = "s3"
PART_BYTES = 8 * 1024 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsConfig:
    """Where the bucket is. `encryption`: of the server, by its names: "", AES256, aws:kms.

    `folder`: of the bucket, for a server of this machine that answers before an object is on disk.
    """

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str = "postriver"
    region: str = "us-east-1"
    encryption: str = ""
    folder: Path | None = None
    ca: bytes = b""  # certificates that are trusted with those of the system, PEM
    request_timeout_s: float = 30.0
    retries: int = 3


class S3Objects:
    """Octets by key. Every method raises StoreUnavailable."""

    def __init__(self, store: S3Store, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def open(cls, config: ObjectsConfig) -> Self:
        """Connections are made when they are needed."""
        encryption: dict[str, Any] = (
            {"server_side_encryption": config.encryption} if config.encryption else {}
        )
        client: Any = {
            "allow_http": config.endpoint.startswith("http://"),
            "timeout": timedelta(seconds=config.request_timeout_s),
        }
        if config.ca:
            client["root_certificate"] = config.ca
        return cls(
            S3Store(
                config.bucket,
                endpoint=config.endpoint,
                region=config.region,
                access_key_id=config.access_key,
                secret_access_key=config.secret_key,
                checksum_algorithm="sha256",
                client_options=client,
                retry_config={
                    "max_retries": config.retries,
                    "retry_timeout": timedelta(seconds=config.request_timeout_s),
                },
                **encryption,
            ),
            config.folder,
        )

    async def put(self, key: str, octets: bytes) -> None:
        """Return once the object is durable."""
        await _tried(obstore.put_async(self._store, key, octets, chunk_size=PART_BYTES))
        if self._folder is None:
            return
        try:
            await asyncio.to_thread(sync_file_of, self._folder, key)
        except OSError as error:  # or the object was deleted meanwhile
            raise StoreUnavailable(ENGINE, f"an object is not on disk: {error}") from error

    async def get(self, key: str) -> bytes | None:
        """Return the object; None: there is none."""
        try:
            found = await _tried(obstore.get_async(self._store, key))
            return bytes(await _tried(found.bytes_async()))
        except FileNotFoundError:
            return None

    async def read(self, key: str, *, start: int, size_bytes: int) -> bytes | None:
        """Return a range that lies inside the object and is not empty; None: no object."""
        try:
            return bytes(
                await _tried(
                    obstore.get_range_async(self._store, key, start=start, length=size_bytes)
                )
            )
        except FileNotFoundError:
            return None

    async def size(self, key: str) -> int | None:
        """Return the size of the object; None: there is none."""
        try:
            return (await _tried(obstore.head_async(self._store, key)))["size"]
        except FileNotFoundError:
            return None

    async def delete(self, key: str) -> None:
        """Delete the object; no error if there is none."""
        try:
            await _tried(obstore.delete_async(self._store, key))
        except FileNotFoundError:
            return


def spread_key(name: str) -> str:
    """The key of a content: it begins with a hash, so that a server can divide the keys."""
    return f"{hashlib.blake2b(name.encode(), digest_size=2).hexdigest()}/content/{name}"


async def _tried(call: Awaitable[T]) -> T:
    """Raises FileNotFoundError, StoreUnavailable."""
    try:
        return await call
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise StoreUnavailable(ENGINE, str(error).partition("\n")[0][:200]) from error
