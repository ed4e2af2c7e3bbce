"""The secret key of the service: the operator's file, or HOME/secrets/service, made at a start."""

from cli.config.config import Config
from mail.errors import Refused
from mail.sending.reverse_path import ReversePaths
from mail.sending.service_key import SECRET_MIN_BYTES, ServiceKey
from stack.secrets import known, secret
from stack.state_folder import StateFolder

NAME = "service"
REVERSE_PATHS = "reverse-paths"


def make_service_key(home: StateFolder) -> None:
    """Make the key in the state folder if it does not exist. Raises OSError."""
    secret(home, NAME)


def service_key(config: Config) -> ServiceKey:
    """Return the key. Raises Refused: the file cannot be read, or is too short."""
    path = config.secret_key_file
    try:
        if path is not None:
            octets = path.read_bytes().strip()
        else:
            octets = (known(config.home, NAME) or "").encode("ascii")
    except OSError as error:
        raise Refused(f"the secret key cannot be read: {error}") from error
    if len(octets) < SECRET_MIN_BYTES:
        place = path or f"{config.home}/secrets/{NAME}"
        raise Refused(f"{place} is no secret key: it needs {SECRET_MIN_BYTES} octets or more")
    return ServiceKey(octets)


def reverse_paths(key: ServiceKey) -> ReversePaths:
    return ReversePaths((key.derived(REVERSE_PATHS),))
