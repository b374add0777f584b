"""What the cards on a server's Services tab show, for the person who looks."""

from dataclasses import dataclass

from django.http import HttpRequest, QueryDict

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway import acceptance, choice, gateways, mailtest, rules, values, wanted
from gateway.models import Gateway, Smarthost
from gateway.providers.preset import Preset
from gateway.server_forms import ChoiceForm, OwnForm, TestForm
from servers.jobs.discretion import Discretion, told
from servers.jobs.models import Job, Status
from servers.models import Server

CHANGES = ("gateway.install", "gateway.reinstall", "gateway.uninstall")
DIAGNOSES = ("gateway.diagnose",)
CARRIED = (*values.FREE, "host", "port", "tls")  # a diagnosis proposes a port, drift the server mail goes to by now
OTHER_MTA, QUEUED_MAIL = "other-mta", "queued-mail"  # the refusals a person can answer with a consent


@dataclass(frozen=True)
class Asked:
    """What stands in the form: `choice` of the select, the form itself, and whether the defaults were loaded."""

    choice: choice.Choice
    form: ChoiceForm | OwnForm
    loaded: bool = False


def asked(request: HttpRequest, server: Server, gateway: Gateway, data: QueryDict | None = None) -> Asked:
    """From what was posted, from the address (`?provider=`, `?load=defaults`), or as things are."""
    source, user = (data if data is not None else request.GET), request.user
    default = Smarthost.objects.default() if may(user, Permission.SETTINGS) else None
    if data is None and request.GET.get("load") == "defaults" and default is not None:
        picked = choice.parse(f"own:{default.preset}", user, gateway)
        return Asked(picked, OwnForm(server=server, by=user, choice=picked, defaults=default), loaded=True)
    picked = choice.parse(source.get("provider", ""), user, gateway) or choice.present(user, gateway)
    if picked.smarthost is not None:
        return Asked(picked, ChoiceForm(data, choice=picked))
    loaded = default if data is not None and default is not None and data.get("password_from") else None
    carried = {} if data is not None else {name: source[name] for name in CARRIED if name in source}
    form = OwnForm(data, server=server, by=user, choice=picked, defaults=loaded, initial=carried)
    return Asked(picked, form, loaded=loaded is not None)


def context(request: HttpRequest, server: Server, shown: Asked | None = None, test: TestForm | None = None) -> dict:
    gateway = Gateway.objects.with_live_job().of(server)
    shown = shown or asked(request, server, gateway)
    user = request.user
    preset, tested, diagnosed = _preset(shown.choice, user), mailtest.last(server), _last(server, user, DIAGNOSES)
    last = _last(server, user, CHANGES)
    hidden = Discretion(user, [server.pk])
    return {
        "server": server,
        "gateway": gateway,
        "gateway_state": hidden.state(server.pk, gateways.state_of(gateway)),
        "problems": hidden.hide(server.pk, gateway.problems),
        "refused": acceptance.confirmed(hidden.hide(server.pk, gateway.problems)),
        "kept": hidden.hide(server.pk, gateway.kept),
        "provider": choice.named(gateway.applied, user) if gateway.applied else "",
        "allowance": wanted.allowance(gateway),
        "shared_account": _shares_account(gateway, user),
        "live_job": Job.objects.live().filter(server=server, action__startswith="gateway.", mutating=True).first(),
        "groups": choice.offered(user, gateway),
        "choice": shown.choice,
        "form": shown.form,
        "preset": preset,
        "loaded": shown.loaded,
        "details": _details(shown.choice, user),
        "warnings": _warnings(shown.choice, user),
        "can_load": may(user, Permission.SETTINGS) and Smarthost.objects.shared().filter(is_default=True).exists(),
        "consent": last if _asks_consent(last) else None,
        "failed": last if last and last.status in (Status.FAILED, Status.ERRORED) and not _asks_consent(last) else None,
        "failed_evidence": last.result.get("evidence", "") if last else "",
        "diagnosed": diagnosed,
        "test_form": test or (mailtest.form(gateway, user) if gateway.installed else None),
        "test_preset": _test_preset(gateway, user),
    } | (mailtest.shown(tested, user) if tested else {})


def mail_waits(gateway: Gateway) -> bool:
    """At the last look, or when an uninstall was refused because of it."""
    last = Job.objects.filter(server=gateway.server_id, action="gateway.uninstall").order_by("-id").first()
    return gateway.queued > 0 or (last is not None and last.cause == QUEUED_MAIL)


def uninstall_effects(gateway: Gateway) -> list[str]:
    """What will happen, counted from the last look."""
    waiting = f"{gateway.queued} message{'' if gateway.queued == 1 else 's'}"
    return [
        "main.cf and master.cf become byte for byte what they were before the gateway, or Postfix is removed again if "
        "the gateway brought it.",
        "Programs on this server can no longer send mail through the provider.",
        f"The queue held {waiting} at the last look. Queued mail is kept: it is never deleted without a yes below."
        if gateway.queued
        else "No mail was waiting in the queue at the last look.",
        "The steps are shown as a job; if one fails, everything is put back.",
    ]


def _preset(picked: choice.Choice, user: User) -> Preset | None:
    if picked.preset is not None:
        return picked.preset
    return rules.preset_of(picked.smarthost.preset) if choice.knows_details(picked.smarthost, user) else None


def _test_preset(gateway: Gateway, user: User) -> Preset | None:
    if gateway.applied is None or not choice.knows_details(gateway.applied, user):
        return None
    return rules.preset_of(gateway.applied.preset)


def _shares_account(gateway: Gateway, user: User) -> bool:
    """Whether its limits were divided, for whom may know."""
    return gateway.applied_share > 1 and gateway.applied is not None and choice.knows_details(gateway.applied, user)


def _details(picked: choice.Choice, user: User) -> Smarthost | None:
    return picked.smarthost if picked.smarthost is not None and may(user, Permission.SETTINGS) else None


def _warnings(picked: choice.Choice, user: User) -> list[str]:
    if picked.smarthost is None or not choice.knows_details(picked.smarthost, user):
        return []
    return rules.warnings(picked.smarthost)


def _last(server: Server, user: User, kinds: tuple[str, ...]) -> Job | None:
    """The last job of these kinds, as this person may read it."""
    last = Job.objects.filter(server=server, action__in=kinds).order_by("-id").first()
    return told([last], user)[0] if last else None


def _asks_consent(last: Job | None) -> bool:
    """An install that was refused because another mail system is there."""
    return last is not None and last.cause == OTHER_MTA and last.status == Status.FAILED
