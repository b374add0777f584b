"""The form of a route, dressed for its way, and of the limits."""

from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from controlpanel.access.models import User
from controlpanel.web.fields import SecretField
from servers.alerts import kinds, relays, routes
from servers.alerts.models import Limits, Route
from servers.alerts.ways import chat
from servers.remote.secret import Secret

_OF_WAY = {
    Route.Way.EMAIL: ("recipients", "sender", "provider", "fallback"),
    Route.Way.WEBHOOK: ("address", "new_secret", "allow_local"),
    Route.Way.CHAT: ("new_target", "allow_local"),
}


class RouteForm(forms.ModelForm):
    """`new_secret` and `new_target` are write-only; blank keeps what is stored."""

    provider = forms.ChoiceField(required=False, label="Send through")
    fallback = forms.ChoiceField(required=False, label="If that fails, through")
    new_secret = SecretField(label="Signing secret", max_length=500)
    new_target = SecretField(label="Address of the chat service", max_length=1000)

    class Meta:
        model = Route
        fields = (
            *("name", "active", "severity", "recipients", "sender", "address", "allow_local", "failed_tests"),
            *("quiet_from", "quiet_until", "zone"),
        )
        widgets = {
            "recipients": forms.Textarea(attrs={"rows": 2}),
            "quiet_from": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "quiet_until": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        }
        help_texts = {
            "recipients": "E-mail addresses, one a line.",
            "sender": "An address the SMTP provider lets you send from.",
            "severity": f"Warnings are: {', '.join(kinds.of(slug).label.lower() for slug in kinds.WARNINGS)}.",
            "address": "Each alert is sent there as JSON, by an HTTP POST. https:// unless it is inside this network.",
            "quiet_from": "Alerts of these hours are told when they end, if they still hold.",
            "zone": "Of the quiet hours, such as Europe/Berlin.",
            "allow_local": "The panel talks from inside the network: only for a receiver you run there.",
        }

    field_order = (
        *("name", "recipients", "sender", "provider", "fallback", "address", "new_secret", "new_target"),
        *("allow_local", "severity", "failed_tests", "quiet_from", "quiet_until", "zone", "active"),
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        mine, route, fields = _OF_WAY[self.instance.way], self.instance, self.fields
        for name in {name for names in _OF_WAY.values() for name in names} - set(mine):
            del fields[name]
        for name in {"recipients", "sender", "provider", "address"} & set(fields):
            fields[name].required = True
        if "provider" in fields:
            fields["provider"].choices = [("", "Choose"), *relays.choices()]
            fields["fallback"].choices = [("", "None"), *relays.choices()]
            self.initial |= {name: str(getattr(route, name) or "") for name in ("provider", "fallback")}
        general = Limits.current().failed_tests
        fields["failed_tests"].widget.attrs["placeholder"] = str(general)
        fields[
            "failed_tests"
        ].help_text = f"This route hears of it when more fail. Empty: more than {general}, as under Limits."
        if "new_secret" in fields:
            fields["new_secret"].is_set = bool(route.__dict__.get("secret"))
            fields["new_secret"].help_text = "At least 16 characters. Signs time stamp and body with HMAC-SHA256."
            fields["new_secret"].required = not fields["new_secret"].is_set
        if "new_target" in fields:
            fields["new_target"].is_set = bool(route.__dict__.get("target"))
            fields["new_target"].help_text = chat.Unusable.hint
            fields["new_target"].required = not fields["new_target"].is_set

    def clean_recipients(self) -> str:
        found = list(dict.fromkeys(self.cleaned_data["recipients"].replace(",", " ").split()))
        for address in found:
            _email(address)
        return "\n".join(found)

    def clean_sender(self) -> str:
        _email(self.cleaned_data["sender"])
        return self.cleaned_data["sender"]

    def clean_zone(self) -> str:
        if self.cleaned_data["zone"] not in available_timezones():
            raise ValidationError("There is no time zone of this name. It looks like Europe/Berlin.")
        return self.cleaned_data["zone"]

    def clean_new_secret(self) -> str:
        if 0 < len(self.cleaned_data["new_secret"]) < 16:
            raise ValidationError("A signing secret has at least 16 characters.")
        return self.cleaned_data["new_secret"]

    def clean_new_target(self) -> str:
        typed = self.cleaned_data["new_target"].strip()
        if typed:
            try:
                chat.check(typed)
            except chat.Unusable as error:
                raise ValidationError(str(error)) from error
        return typed

    def clean(self) -> dict:
        data = super().clean()
        if bool(data.get("quiet_from")) != bool(data.get("quiet_until")):
            self.add_error("quiet_until", "Quiet hours need a beginning and an end.")
        if data.get("fallback") and data["fallback"] == data.get("provider"):
            self.add_error("fallback", "The fallback is the same provider: choose another one, or none.")
        if "address" in data:
            self._judge(data["address"], local=bool(data.get("allow_local")))
        return data

    def _judge(self, address: str, *, local: bool) -> None:
        try:
            url = urlsplit(address)
            known = url.scheme in ("https", "http") and url.hostname and (url.port is None or url.port)
        except ValueError:
            known = False
        if not known or not address.isascii() or any(c.isspace() for c in address):
            self.add_error("address", "A webhook's address looks like https://example.com/alerts.")
        elif url.username or url.password:
            self.add_error("address", "No user name or password in the address: it is shown. Use the signing secret.")
        elif url.scheme == "http" and not local:
            self.add_error("address", "Without https anybody on the way reads the alerts. Use https://.")

    def save(self, *, by: User) -> Route:
        route, data = self.instance, self.cleaned_data
        if route.way == Route.Way.EMAIL:
            route.provider, route.fallback = data["provider"], data["fallback"] or None
        secret, target = data.get("new_secret"), data.get("new_target")
        return routes.save(
            route, secret=Secret(secret) if secret else None, target=Secret(target) if target else None, by=by
        )


def _email(address: str) -> None:
    if not address.isascii() or address.startswith("-"):
        raise ValidationError(f"{address} is not a plain e-mail address.")
    validate_email(address)


class LimitsForm(forms.ModelForm):
    failed_tests = forms.IntegerField(
        min_value=1,
        max_value=100_000,
        label="Failed test emails in an hour",
        help_text="When more fail, every route hears of it that has no number of its own. "
        "Only test emails count; other mail of the servers is not read yet.",
    )
    worker_minutes = forms.IntegerField(
        min_value=1,
        max_value=1440,
        label="Minutes without a worker",
        help_text="After so many, an alert says that jobs wait.",
    )

    class Meta:
        model = Limits
        fields = ("failed_tests", "worker_minutes")
