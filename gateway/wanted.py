"""From the rows of the panel to what gateway.postfix understands."""

import hmac

from django.conf import settings
from django.db.models import Q, QuerySet

from gateway import rules
from gateway.models import Gateway, Smarthost
from gateway.postfix.spec import Relay
from gateway.providers import limits, presets
from gateway.providers.preset import Preset
from servers.models import Server


def relay(smarthost: Smarthost, share: int) -> Relay:
    """share: among how many servers the account's limits are divided; 0: Postfix is told none.
    Raises gateway.postfix.spec.Invalid for what Postfix cannot carry, servers.fields.Unreadable for a lost key."""
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
        limits=tuple(limits.share(preset, share).parameters.items()) if share else (),
    )


def allowance(gateway: Gateway) -> limits.Share:
    """What its main.cf keeps to; divisor 0 where no limits were told to Postfix there."""
    if gateway.applied is None or not gateway.applied_share:
        return limits.UNTOLD
    return limits.share(rules.preset_of(gateway.applied.preset), gateway.applied_share)


def share(smarthost: Smarthost) -> int:
    """Among how many servers the account's limits would be divided now; 0 where Postfix has none to keep."""
    preset = rules.preset_of(smarthost.preset)
    return limits.share(preset, users(smarthost, preset) if limits.divided(preset) else 1).divisor


def fair(smarthost: Smarthost, joining: QuerySet | None = None) -> limits.Share:
    """What each of the servers that use the account would be given now, or once `joining` (servers) use it too."""
    preset = rules.preset_of(smarthost.preset)
    return limits.share(preset, users(smarthost, preset, joining))


def account(smarthost: Smarthost, preset: Preset) -> QuerySet:
    """The rows that hold this account. It is the sign-in, whichever row has it; where every account of the preset has
    the same user name or none, it is the row."""
    same = Q(pk=smarthost.pk)
    if smarthost.username and smarthost.username != preset.username:
        same |= Q(host=smarthost.host, username__iexact=smarthost.username)
    return Smarthost.objects.filter(same).order_by()


def users(smarthost: Smarthost, preset: Preset, joining: QuerySet | None = None) -> int:
    """How many servers send through this account or soon will, `joining` among them. An archived server goes on
    sending."""
    rows = account(smarthost, preset).values("pk")
    chosen = Q(wanted__in=rows, server__archived_at__isnull=True)
    users = Gateway.objects.filter(chosen | Q(applied__in=rows))
    if joining is None:
        return users.count()
    return users.exclude(server__in=joining.order_by().values("pk")).count() + joining.count()


def kept(gateway: Gateway) -> tuple[tuple[str, str | None], ...]:
    """The main.cf values a person adopted there, as a plan takes them."""
    return tuple(gateway.kept.items())


def digest_key(server: Server) -> bytes:
    """Keys the digest that names a server's maps directory, so that the name tells nothing about the password in it.

    Derived from the signing key: it outlives rotations of the vault, and losing it only makes the next run write the
    maps again under another name. One key per server, so that equal passwords do not show as equal names.
    """
    return hmac.digest(settings.SECRET_KEY.encode(), f"gateway generation {server.pk}".encode(), "sha256")
