"""The forms of the Services tab: where this server's mail goes, and a test email."""

from django import forms
from django.core.exceptions import ValidationError

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway import smarthosts, validators
from gateway.choice import Choice, knows_details
from gateway.forms import ValuesForm
from gateway.models import Gateway, Smarthost
from servers.models import Server
from servers.validators import plain_text


class ChoiceForm(forms.Form):
    """A shared provider, or the one already set up: there is nothing to type."""

    provider = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args, choice: Choice, **kwargs):
        super().__init__(*args, **kwargs)
        self.choice = choice
        self.initial["provider"] = choice.value

    def save(self, *, by: User) -> Smarthost | None:
        return self.choice.smarthost


class OwnForm(ValuesForm):
    """Own values of one server."""

    provider = forms.CharField(widget=forms.HiddenInput)
    password_from = forms.UUIDField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, server: Server, by: User, choice: Choice, defaults: Smarthost | None = None, **kwargs):
        """defaults: fills the fields; its password is used from where it is stored, and never leaves the panel."""
        self.server, self.choice = server, choice
        current = Gateway.objects.of(server).wanted
        own = current is not None and current.server_id == server.pk and knows_details(current, by)
        self.current = current if own else None
        mine = self.current if self.current is not None and self.current.preset == choice.preset.slug else None
        super().__init__(*args, preset=choice.preset, stored=defaults or mine, **kwargs)
        self.initial |= {"provider": choice.value, "password_from": defaults.pk if defaults else None}

    def save(self, *, by: User) -> Smarthost | None:
        """The row for these values; None with the complaints in the form."""
        try:
            return smarthosts.own(self.server, self.values(), by=by, known=self._known(by))
        except ValidationError as error:
            self.refuse(error)
            return None

    def _known(self, by: User) -> Smarthost | None:
        asked = self.cleaned_data.get("password_from")
        if not asked or not may(by, Permission.SETTINGS):
            return self.current
        default = Smarthost.objects.default()
        if default is None or default.pk != asked:
            raise ValidationError("The default provider was changed meanwhile. Load the defaults again.")
        return default


class TestForm(forms.Form):
    """One email through the server's own sendmail."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    sender = forms.CharField(
        label="From",
        max_length=254,
        required=False,
        validators=[validators.email],
        help_text="Blank: the address this account usually sends from.",
    )
    recipient = forms.CharField(label="To", max_length=254, validators=[validators.email])
    subject = forms.CharField(max_length=200, required=False, validators=[validators.line])
    body = forms.CharField(
        max_length=20_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        validators=[plain_text],
        strip=False,
    )
    html = forms.ChoiceField(
        label="Format", choices=[("", "Plain text"), ("html", "HTML")], required=False, widget=forms.RadioSelect
    )

    def options(self) -> dict:
        """What the job is asked to send; the audit log keeps the recipient and leaves out the mail."""
        mail = {name: self.cleaned_data[name] for name in ("sender", "subject", "body")}
        mail["html"] = self.cleaned_data["html"] == "html"
        return {"recipient": self.cleaned_data["recipient"], "mail": mail}


class UninstallForm(forms.Form):
    """Nothing dangerous is ticked beforehand."""

    forget = forms.BooleanField(
        required=False, label="Also forget the values stored for this server, its password included"
    )
    purge_queue = forms.BooleanField(
        required=False,
        label="Delete the queued mail if Postfix itself is removed",
        help_text="Without this, the uninstall stops while mail is waiting and Postfix would go with it.",
    )

    def __init__(self, *args, gateway: Gateway, mail_waits: bool, **kwargs):
        super().__init__(*args, **kwargs)
        if gateway.wanted is not None and gateway.wanted.server_id is None:
            self.fields["forget"].label = "Also forget which provider was chosen for this server"
        if not mail_waits:
            del self.fields["purge_queue"]
