"""What of a gateway is worth an alert, in words that are true of every server that fails for the same cause."""

from django.urls import reverse

from gateway import drift, symptoms
from gateway.models import Gateway, Smarthost
from gateway.providers.replies import Explanation, explain
from gateway.symptoms import Symptom, Upstream
from servers.alerts import raising, relays
from servers.models import Server

FAILING, DRIFTED, UNREACHABLE = "gateway-failing", "gateway-drifted", "server-unreachable"


def failing(server: Server, reason: str) -> None:
    row = _provider(server)
    name, url = (row.name, reverse("smarthosts:edit", args=[row.pk])) if row and row.server_id is None else ("", "")
    meaning = explain(reason, row.preset if row else "")
    raising.recovered(DRIFTED, server.pk)
    if not meaning.exact:
        raising.raise_alert(FAILING, server.pk, server=server, text=reason, hint="Open the server and repair it.")
        return
    raising.raise_alert(
        FAILING,
        server.pk,
        server=server,
        cause=meaning.slug,
        text=f"{name}: {meaning.cause}" if name else meaning.cause,
        hint=meaning.fix,
        url=url,
        provider=name,
    )


def drifted(server: Server, reason: str) -> None:
    raising.recovered(FAILING, server.pk)
    hint = "Look at what was changed, then keep it or reinstall the gateway."
    raising.raise_alert(DRIFTED, server.pk, server=server, text=reason, hint=hint)


def fine(server: Server) -> None:
    """The gateway is as it should be, or gone because somebody asked for it."""
    raising.recovered(FAILING, server.pk)
    raising.recovered(DRIFTED, server.pk)


def gone(server: Server) -> None:
    """There is no gateway of ours any more."""
    fine(server)
    around(server, [])


def around(server: Server, findings: list[dict]) -> None:
    """What a look found beside the gateway's own settings: mail that waits, clock, disk, the provider's certificate and
    sign-in. findings: those of gateway.drift, of this look; others among them are left alone."""
    raised, over = _symptoms(server, findings)
    raising.recovered_from(over, server.pk)
    _raise(server, raised)


def held_up(server: Server, meaning: Explanation) -> None:
    """Mail of this server waits because of its provider, and no look has seen it yet."""
    _raise(server, _symptoms(server, [drift.held_up(meaning)])[0])


def _symptoms(server: Server, findings: list[dict]) -> tuple[list[Symptom], list[str]]:
    row = _provider(server) if findings else None
    if row is None:
        return symptoms.found(findings, Upstream())
    if row.server_id is None:
        return symptoms.found(findings, Upstream(row.name, True, reverse("smarthosts:edit", args=[row.pk])))
    return symptoms.found(findings, Upstream(row.host))


def _raise(server: Server, raised: list[Symptom]) -> None:
    for one in raised:
        values = {name: getattr(one, name) for name in ("cause", "text", "hint", "provider", "url")}
        raising.raise_alert(one.kind, server.pk, server=server, **values)


def unreachable(server: Server, cause: str, text: str, hint: str) -> None:
    """Several regular looks in a row got no answer."""
    raising.raise_alert(UNREACHABLE, server.pk, server=server, cause=cause, text=text, hint=hint)


def reached(server: Server) -> None:
    raising.recovered(UNREACHABLE, server.pk)


def _provider(server: Server) -> Smarthost | None:
    gateway = Gateway.objects.of(server)
    return gateway.applied or gateway.wanted


def _relay(ident) -> relays.Relay | None:
    row = Smarthost.objects.shared().filter(pk=ident).first()
    if row is None:
        return None
    values = (row.name, row.host, row.port, row.tls, row.verify_certificate, row.username)
    return relays.Relay(*values, password=row.password)


def _choices() -> list[tuple[str, str]]:
    return [(str(pk), name) for pk, name in Smarthost.objects.shared().values_list("pk", "name")]


RELAYS = relays.Source(choices=_choices, find=_relay)
