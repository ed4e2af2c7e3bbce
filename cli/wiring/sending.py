"""Adapters of delivery to other servers, by the settings."""

from agents.relaying.outbound import Outbound
from cli.config.config import Config
from cli.wiring.service_key import reverse_paths, service_key
from mail.errors import Refused
from mail.ports import ContentStore, Directory, MailTransport, Users
from mail.ports.mx_resolver import MxResolver
from mail.ports.submissions import Submissions
from mail.sending.bounce_addresses import SignedBounceAddresses
from mail.sending.dkim.keyring import DkimKeyrings
from operations.domain_records import TextLookup
from resolving.config import ResolverConfig
from resolving.dns_client import DnsClient, LookupFailed, NameAbsent
from resolving.dns_resolver import DnsMxResolver
from smtp.client import ClientConfig, SmtpTransport


def mx_resolver(config: Config) -> MxResolver:
    """Look-ups at the configured DNS server. This host is no mail host of other domains."""
    return DnsMxResolver(_resolver_config(config))


class DnsTexts(TextLookup):
    """Look-ups of records as texts at the configured DNS server."""

    def __init__(self, config: Config) -> None:
        self._client = DnsClient(_resolver_config(config))

    async def texts(self, name: str, kind: str) -> list[str]:
        try:
            return await self._client.texts(name, kind)
        except NameAbsent:
            return []
        except LookupFailed as error:
            raise Refused(f"{name}: {error}") from error


def _resolver_config(config: Config) -> ResolverConfig:
    server, port = config.resolver_address
    is_own_port = config.relay_port == config.ports.smtp
    return ResolverConfig(
        server=server,
        port=port,
        own_names=frozenset({config.hostname.lower()}),
        own_addresses=frozenset({config.bind} if is_own_port else ()),
        outbound=config.outbound,
    )


def mail_transport(config: Config) -> MailTransport:
    return SmtpTransport(
        ClientConfig(
            hostname=config.hostname,
            port=config.relay_port,
            tls_required=frozenset(config.relay_tls_required),
        ),
        mx_resolver(config),
    )


def outbound(config: Config, contents: ContentStore, directory: Directory) -> Outbound:
    """Raises Refused: the secret key cannot be read."""
    key = service_key(config)
    return Outbound(
        contents=contents,
        reverse_paths=reverse_paths(key),
        signers=DkimKeyrings(directory, key),
    )


def bounce_addresses(
    config: Config, submissions: Submissions, users: Users
) -> SignedBounceAddresses:
    """Raises Refused: the secret key cannot be read."""
    return SignedBounceAddresses(reverse_paths(service_key(config)), submissions, users)
