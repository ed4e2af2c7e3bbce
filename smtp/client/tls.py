"""TLS contexts of the SMTP client: verified, and opportunistic (RFC 3207, RFC 7435)."""

import ssl

from smtp.client.config import ClientConfig


class TlsContexts:
    """Two contexts, of TLS 1.2 and later.

    Opportunistic TLS does not verify the certificate: the alternative is a connection in clear,
    and most certificates of mail hosts do not fit the names of their MX records.
    """

    def __init__(self, config: ClientConfig) -> None:
        self.verified = ssl.create_default_context(cafile=config.ca_file or None)
        self.verified.minimum_version = ssl.TLSVersion.TLSv1_2
        self.opportunistic = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.opportunistic.check_hostname = False
        self.opportunistic.verify_mode = ssl.CERT_NONE
        self.opportunistic.minimum_version = ssl.TLSVersion.TLSv1_2
