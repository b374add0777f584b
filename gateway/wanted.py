"""From the rows of the panel to what gateway.postfix understands."""

import hmac

from django.conf import settings

from gateway import rules
from gateway.models import Smarthost
from gateway.postfix.spec import Relay
from gateway.providers import presets
from servers.models import Server


def relay(smarthost: Smarthost) -> Relay:
    """Raises gateway.postfix.spec.Invalid for what Postfix cannot carry, servers.fields.Unreadable for a lost key."""
    preset, password = rules.preset_of(smarthost.preset), smarthost.password
    username = smarthost.username
    if not username and password is not None and rules.token_twice(preset):
        username = password.reveal().decode()
    return Relay(
        host=smarthost.host,
        port=smarthost.port,
        tls=smarthost.tls,
        verify=smarthost.verify_certificate,
        username=username,
        password=password if username else None,
        sending_domain=smarthost.sending_domain,
        helo_name=smarthost.helo_name,
        root_address=smarthost.root_address,
        rewrite=presets.rewrite_rule(preset, smarthost.username, smarthost.sending_domain),
    )


def digest_key(server: Server) -> bytes:
    """Keys the digest that names a server's maps directory, so that the name tells nothing about the password in it.

    Derived from the signing key: it outlives rotations of the vault, and losing it only makes the next run write the
    maps again under another name. One key per server, so that equal passwords do not show as equal names.
    """
    return hmac.digest(settings.SECRET_KEY.encode(), f"gateway generation {server.pk}".encode(), "sha256")
