"""Adapters of delivery to other servers, by the settings."""

from cli.config.config import Config
from mail.ports import MailTransport
from mail.ports.mx_resolver import MxResolver
from resolving.config import ResolverConfig
from resolving.dns_resolver import DnsMxResolver
from smtp.client import ClientConfig, SmtpTransport


def mx_resolver(config: Config) -> MxResolver:
    """Look-ups at the configured DNS server. This host is no mail host of other domains."""
    server, port = config.resolver_address
    is_own_port = config.relay_port == config.ports.smtp
    return DnsMxResolver(
        ResolverConfig(
            server=server,
            port=port,
            own_names=frozenset({config.hostname.lower()}),
            own_addresses=frozenset({config.bind} if is_own_port else ()),
            outbound=config.outbound,
        )
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
