"""Authenticators over given adapters, with a hasher that counts its calls."""

from edge.sign_in.authenticator import Authenticator, SignInPorts
from edge.sign_in.login_limiter import LoginLimiter, LoginLimits
from edge.sign_in.password_cache import PasswordCache
from edge.sign_in.password_checks import PasswordChecks
from mail.directory.passwords import verify_password
from mail.ports import Attempts, Directory


class CountedHasher:
    """A fast hasher: the hash of `x` is `hash of x`. Lists the hashes that were checked."""

    def __init__(self) -> None:
        self.checked: list[str] = []

    def verify(self, password_hash: str, password: str) -> bool:
        self.checked.append(password_hash)
        return password_hash == fast_hash(password)


def fast_hash(password: str) -> str:
    return f"hash of {password}"


def authenticator_of(
    directory: Directory,
    attempts: Attempts,
    rules: LoginLimits,
    *,
    hasher: CountedHasher | None = None,
    cache: PasswordCache | None = None,
    waiting_max: int = 1,
) -> Authenticator:
    verify = hasher.verify if hasher else verify_password
    return Authenticator(
        SignInPorts(users=directory, app_passwords=directory, sign_ins=directory),
        LoginLimiter(attempts, directory, rules),
        PasswordChecks(at_once=1, waiting_max=waiting_max, verify=verify),
        PasswordCache(keep_s=0) if cache is None else cache,
    )
