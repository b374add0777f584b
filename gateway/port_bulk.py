"""Another port for many servers: what a diagnosis of the fleet proposes, applied to exactly the servers it is for."""

from collections import Counter
from dataclasses import replace

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction

from controlpanel.access.models import User
from controlpanel.web.fields import SecretField
from gateway import gateways, smarthosts, values
from gateway.bulk import PROVED, PUT_BACK
from gateway.choice import knows_details
from gateway.diagnosis.values import MODES
from gateway.models import Gateway, Smarthost, Tls
from gateway.values import Values
from servers.bulk import Asked, BulkForm
from servers.jobs.launch import launch
from servers.jobs.rollout import PLAIN, Policy
from servers.models import ServerQuerySet
from servers.remote.secret import Secret
from servers.validators import port as valid_port

NO_PROVIDER = "No SMTP provider was chosen for it."
NOT_YOURS = "Its SMTP provider was set up by your administrator, who can change the port."
OTHER_ACCOUNT = "It signs in to another account than most of these: change its port separately."
ALREADY = "It uses this port already."


class UsePortForm(BulkForm):
    """The same account at another port, with its stored password where smarthosts.kept_password lets it go there.
    Servers on a shared provider get one beside it: everybody else on it stays where they are."""

    action = "gateway.install"

    port = forms.IntegerField(label="Port", validators=[valid_port], localize=False)
    tls = forms.ChoiceField(
        label="Encryption", choices=[choice for choice in Tls.choices if choice[0] != Tls.NONE], initial=Tls.STARTTLS
    )
    password = SecretField(
        label="Password of the account",
        max_length=2000,
        help_text="Leave it empty to keep the stored one. It must be typed again only where the provider's certificate "
        "is not checked.",
    )

    def excluded(self, servers: ServerQuerySet) -> dict:
        wanted = _wanted(servers)
        known = {pk: row for pk, row in wanted.items() if knows_details(row, self.viewer)}
        accounts = Counter(map(_account, known.values()))
        common = accounts.most_common(1)[0][0] if accounts else None
        reasons = dict.fromkeys(servers.order_by().values_list("pk", flat=True), NO_PROVIDER)
        reasons |= dict.fromkeys(wanted, NOT_YOURS)
        for pk, row in known.items():
            there = bool(self._way) and (row.port, row.tls) == self._way
            reasons[pk] = OTHER_ACCOUNT if _account(row) != common else ALREADY if there else ""
        return {pk: why for pk, why in reasons.items() if why}

    @property
    def _way(self) -> tuple[int, str] | None:
        chosen = getattr(self, "cleaned_data", {})
        return (chosen["port"], chosen["tls"]) if "port" in chosen and "tls" in chosen else None

    def effects(self, count: int) -> list[str]:
        servers = "1 server" if count == 1 else f"{count} servers"
        through = f"port {self._way[0]} with {MODES[self._way[1]]}" if self._way else "the port typed below"
        return [
            f"Postfix on {servers} hands mail to the same provider on {through}.",
            "Where the provider is a shared one, another is set up beside it for that port; servers that are not in "
            "this list stay on the one they have.",
            PROVED,
            PUT_BACK,
        ]

    @transaction.atomic
    def ask(self, servers: ServerQuerySet, *, by: User, policy: Policy = PLAIN) -> Asked:
        wanted = _wanted(servers)
        beside, chosen = {}, {}
        try:
            for server in servers:
                row = wanted[server.pk]
                new = self._moved(row)
                if row.server_id is not None:
                    chosen[server] = smarthosts.own(server, new, by=by, known=row)
                else:
                    chosen[server] = beside[row.pk] = beside.get(row.pk) or _beside(row, new, by)
            gateways.want(chosen, by=by)
        except ValidationError as error:  # its fields are those of a provider's form
            raise ValidationError(error.messages) from error
        return Asked(launch(self.action, list(chosen), by=by, policy=policy))

    def _moved(self, row: Smarthost) -> Values:
        port, tls = self._way
        typed = self.cleaned_data["password"]
        return replace(values.of(row), port=port, tls=tls, password=Secret(typed) if typed else None)


def _wanted(servers: ServerQuerySet) -> dict:
    """{server id: the row it wants}."""
    rows = Gateway.objects.filter(server__in=servers.order_by(), wanted__isnull=False).select_related("wanted")
    return {gateway.server_id: gateway.wanted for gateway in rows}


def _account(row: Smarthost) -> tuple[str, str, str]:
    return row.preset, row.host, row.username


def _beside(row: Smarthost, new: Values, by: User) -> Smarthost:
    """The shared provider for the same account at the new port: one that is there already, or a new one."""
    there = {"preset": new.preset, "host": new.host, "username": new.username, "port": new.port, "tls": new.tls}
    found = Smarthost.objects.shared().filter(**there).first()
    if found is not None and found.has_password and new.password is None:
        return found
    if new.password is None and row.has_password:
        new = replace(new, password=smarthosts.kept_password(row, new))
    if found is None:
        return smarthosts.create(f"{row.name}, port {new.port}"[:80], new, by=by)
    return smarthosts.change(found, found.name, replace(values.of(found), password=new.password), by=by)[0]
