"""What can be asked of the email gateways of many servers: whom it leaves out and why, and what will happen."""

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, Sum

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway import gateways, rules, values, wanted
from gateway.models import Gateway, Smarthost
from gateway.server_forms import TestForm
from servers.bulk import Asked, BulkForm
from servers.jobs.launch import launch
from servers.jobs.models import Batch
from servers.jobs.rollout import PLAIN, Policy
from servers.models import ServerQuerySet

NOT_INSTALLED = "No email gateway is installed."
PROVED = "Each server signs in to its provider first; where that fails, nothing is changed there."
PUT_BACK = "If a step fails on a server, everything is put back there."


class _Installing(BulkForm):
    """Through the provider chosen here, or through what each server already wants, else the default provider."""

    provider = forms.ModelChoiceField(
        Smarthost.objects.none(),
        required=False,
        label="SMTP provider",
        empty_label="What each server already has chosen, else the default provider",
    )
    replace_mta = forms.BooleanField(
        required=False,
        label="Replace another mail system where there is one",
        help_text="Its configuration and its queued messages are kept aside, and uninstall puts it back.",
    )

    def __init__(self, data=None, *, viewer: User):
        super().__init__(data, viewer=viewer)
        if may(viewer, Permission.USE_SHARED):
            self.fields["provider"].queryset = Smarthost.objects.shared()
        else:
            del self.fields["provider"]

    def clean_provider(self) -> Smarthost | None:
        chosen = self.cleaned_data["provider"]
        if chosen is not None and (why := _unusable(chosen)):
            raise ValidationError(why)
        return chosen

    @property
    def chosen(self) -> Smarthost | None:
        return getattr(self, "cleaned_data", {}).get("provider")

    _moved, _may = 0, ""

    def excluded(self, servers: ServerQuerySet) -> dict:
        if self.chosen is None:
            return without_values(servers, gateways.fallback(self.viewer))
        self._may = wanted.fair(self.chosen, joining=servers).each
        self._moved = servers.filter(gateway__applied__isnull=False).exclude(gateway__applied=self.chosen).count()
        return {}

    def options(self) -> dict:
        return {"replace_mta": True} if self.cleaned_data["replace_mta"] else {}

    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        return Asked(_asked(self.action, servers, self.chosen, by=by, options=self.options(), policy=policy))


class InstallForm(_Installing):
    action = "gateway.install"

    def effects(self, count: int) -> list[str]:
        through = f"through {self.chosen}" if self.chosen else "through its provider"
        moved = [
            f"{_servers(self._moved)} of the selection send{'s' * (self._moved == 1)} through another provider now."
        ]
        return [
            f"Postfix on {_servers(count)} is set up to hand mail to the internet {through}.",
            *(moved if self._moved else []),
            *([f"The account's limits are divided: each server may {self._may}."] if self._may else []),
            PROVED,
            "A server that already is as wanted is left as it is.",
            PUT_BACK,
        ]


class PreviewForm(_Installing):
    action = "gateway.preview"

    def effects(self, count: int) -> list[str]:
        return [f"The panel looks at {_servers(count)} and works out the changes.", "Nothing is changed."]

    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        named = {"smarthost": str(self.chosen.pk)} if self.chosen else {}
        return Asked(launch(self.action, servers, by=by, options=self.options() | named, policy=policy))


class ReinstallForm(BulkForm):
    action = "gateway.reinstall"

    def excluded(self, servers: ServerQuerySet) -> dict:
        return without_values(servers, None) | not_installed(servers)

    def effects(self, count: int) -> list[str]:
        return [
            f"The values chosen for {_servers(count)}, the password included, are brought there.",
            PROVED,
            "A server that already has them is left as it is.",
            PUT_BACK,
        ]

    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        return Asked(_asked(self.action, servers, by=by, policy=policy))


class UninstallForm(BulkForm):
    """Nothing dangerous is ticked beforehand."""

    action = "gateway.uninstall"

    forget = forms.BooleanField(
        required=False, label="Also forget the values stored for these servers, their passwords included"
    )
    purge_queue = forms.BooleanField(
        required=False,
        label="Delete the queued mail where Postfix itself is removed",
        help_text="Without this, the uninstall stops on a server while mail is waiting and Postfix would go with it.",
    )
    _waiting = ""

    def excluded(self, servers: ServerQuerySet) -> dict:
        waits = servers.filter(gateway__queued__gt=0).order_by()
        found = waits.aggregate(servers=Count("pk", distinct=True), mails=Sum("gateway__queued"))
        if found["mails"]:
            self._waiting = f"{found['mails']} emails on {_servers(found['servers'])}"
        left = Q(gateway__applied__isnull=True, gateway__state=Gateway.State.ABSENT, gateway__in_doubt=False)
        return _because(servers.filter(left | Q(gateway__isnull=True)), NOT_INSTALLED)

    def effects(self, count: int) -> list[str]:
        kept = "Queued mail is kept: it is never deleted without a yes below."
        return [
            f"On {_servers(count)} main.cf and master.cf become byte for byte what they were before the gateway, or "
            "Postfix is removed again if the gateway brought it.",
            "Programs there can no longer send mail through the provider.",
            f"At the last look {self._waiting} waited in the queues. {kept}" if self._waiting else kept,
            PUT_BACK,
        ]

    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        chosen = {name: True for name in ("forget", "purge_queue") if self.cleaned_data[name]}
        return Asked(launch(self.action, servers, by=by, options=chosen, policy=policy))


class BulkTestForm(BulkForm, TestForm):
    """The same mail from every server; what is left blank names the server itself."""

    action = "gateway.test"

    def __init__(self, data=None, *, viewer: User):
        super().__init__(data, viewer=viewer)
        self.fields["sender"].help_text = "Blank: the address each account usually sends from."
        self.fields["subject"].help_text = "Blank: a line with the server's name."
        self.initial["recipient"] = viewer.email

    def excluded(self, servers: ServerQuerySet) -> dict:
        return not_installed(servers)

    def effects(self, count: int) -> list[str]:
        return [
            f"Each of {_servers(count)} sends one email with its own sendmail, and its log is followed to the "
            "provider's answer."
            if count != 1
            else "The server sends one email with its own sendmail, and its log is followed to the provider's answer.",
            "No setting is changed.",
        ]

    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        return Asked(launch(self.action, servers, by=by, options=self.options(), policy=policy))


class CheckForm(BulkForm):
    action = "gateway.check"

    def excluded(self, servers: ServerQuerySet) -> dict:
        nothing = Q(gateway__applied__isnull=True, gateway__wanted__isnull=True, gateway__in_doubt=False)
        return _because(servers.filter(nothing | Q(gateway__isnull=True)), NOT_INSTALLED)

    def effects(self, count: int) -> list[str]:
        whether = "1 server is as it was installed" if count == 1 else f"{count} servers are as they were installed"
        return [f"The panel looks whether {whether}.", "Nothing is changed."]


class DiagnoseForm(BulkForm):
    action = "gateway.diagnose"

    def excluded(self, servers: ServerQuerySet) -> dict:
        return without_values(servers, gateways.fallback(self.viewer))

    def effects(self, count: int) -> list[str]:
        return [
            f"The ports of its SMTP provider are tried from {_servers(count)}, with one sign-in each."
            if count == 1
            else f"Each of {_servers(count)} tries the ports of its SMTP provider and signs in there once.",
            "Nothing is changed and nothing is sent.",
        ]


class LoadDefaultsForm(BulkForm):
    """Chooses the default provider; a reinstall brings it to the servers."""

    def clean(self) -> dict:
        default = Smarthost.objects.default()
        if default is None:
            raise ValidationError("No provider is the default one. Choose it under Settings, Email gateway.")
        if why := _unusable(default):
            raise ValidationError(why)
        return super().clean()

    def excluded(self, servers: ServerQuerySet) -> dict:
        default = Smarthost.objects.default()
        if default is None:
            return _because(servers, "There is no default provider.")
        return _because(servers.filter(gateway__wanted=default), "The default provider is chosen for it already.")

    def effects(self, count: int) -> list[str]:
        return [
            f"The default provider, {Smarthost.objects.default()}, is chosen for {_servers(count)}.",
            "Values typed for a server itself are given up there, and forgotten once its gateway no longer runs on "
            "them.",
            "No server is reached. Install or reinstall the email gateway afterwards to bring the values there.",
        ]

    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        default = Smarthost.objects.default()
        chosen = dict.fromkeys(servers, default)
        gateways.want(chosen, by=by)
        told = f"{default} is chosen for {_servers(len(chosen))}. Reinstall the email gateway there to use it."
        return Asked(None, told)


def without_values(servers: ServerQuerySet, fallback: Smarthost | None) -> dict:
    """Servers for which nothing that could work is chosen. fallback: what those get that have chosen nothing."""
    nothing = servers.filter(Q(gateway__isnull=True) | Q(gateway__wanted__isnull=True))
    why = "No SMTP provider was chosen for it." if fallback is None else _unusable(fallback)
    found = _because(nothing, why) if why else {}
    # a row with both can be used; of the others the presets know
    doubtful = Smarthost.objects.filter(Q(password__isnull=True) | Q(username=""), wanted_by__server__in=servers)
    unusable = {row.pk for row in doubtful.distinct() if _unusable(row)}
    if unusable:
        found |= _because(servers.filter(gateway__wanted__in=unusable), "The password of its provider is not stored.")
    return found


def not_installed(servers: ServerQuerySet) -> dict:
    return _because(servers.filter(Q(gateway__isnull=True) | Q(gateway__applied__isnull=True)), NOT_INSTALLED)


def _asked(*what, **how) -> Batch:
    try:
        return gateways.ask(*what, **how)
    except gateways.NothingWanted as error:  # it was taken away a moment ago
        raise ValidationError(f"{error} {error.hint}") from error


def _because(servers: ServerQuerySet, why: str) -> dict:
    return dict.fromkeys(servers.order_by().values_list("pk", flat=True), why)


def _unusable(smarthost: Smarthost) -> str:
    try:
        rules.ready(values.of(smarthost), has_password=smarthost.has_password)
    except ValidationError as error:
        return f"{smarthost} cannot be used: {' '.join(error.messages)}"
    return ""


def _servers(count: int) -> str:
    return "1 server" if count == 1 else f"{count} servers"
