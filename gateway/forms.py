"""What people type about an SMTP provider account."""

from django import forms
from django.core.exceptions import ValidationError

from controlpanel.access.models import User
from controlpanel.web.fields import SecretField
from gateway import rules, smarthosts, validators, values
from gateway.models import Smarthost, Tls
from gateway.providers.preset import Preset
from gateway.values import Values
from servers.remote.secret import Secret

BY_PORT = ("", "By port: 465 TLS, others STARTTLS")
TYPED = tuple(name for name in values.STORED if name != "preset")


class ValuesForm(forms.ModelForm):
    """The values of one account, dressed for a preset. Field rules are the model's own."""

    password = SecretField(label="Password", max_length=2000)
    iam_secret = forms.BooleanField(
        required=False,
        label="This is the IAM secret access key: work out the SMTP password and forget the key",
    )

    class Meta:
        model = Smarthost
        fields = TYPED
        widgets = {"note": forms.Textarea(attrs={"rows": 2})}
        help_texts = {
            "sending_domain": "Mail from root, cron and web sites gets a sender in this domain.",
            "helo_name": "What the server introduces itself as (HELO). Blank: its own full host name.",
            "root_address": "Who reads mail for root and other system accounts. Blank: left as it is.",
            "verify_certificate": "Off only for a server with a self-signed certificate: the password is then open to "
            "whoever sits on the way.",
        }

    field_order = (
        *("name", "host", "region", "port", "tls", "verify_certificate", "username", "password", "iam_secret"),
        *("sending_domain", "helo_name", "root_address", "note"),
    )

    def __init__(self, *args, preset: Preset, stored: Smarthost | None = None, **kwargs):
        """stored: shown in the fields; of its password only that there is one."""
        super().__init__(*args, **kwargs)
        self.preset = preset
        for name in ("host", "port", "region", "tls"):
            if name in self.fields:
                self.fields[name].required = False
        self.fields["tls"].choices = [BY_PORT, *Tls.choices]
        self.fields["password"].is_set = bool(stored and stored.has_password)
        self.fields["password"].kept = "Leave blank to keep it for this server and user name."
        self.initial = self._suggested() | (self._shown(stored) if stored else {}) | self.initial
        self._dress()

    def _suggested(self) -> dict:
        preset = self.preset
        return {
            "host": "" if preset.regions else preset.host,
            "region": preset.default_region,
            "port": preset.default_port[0],
            "tls": "" if preset.tls_possible else Tls.NONE,
            "username": preset.username,
        }

    def _shown(self, stored: Smarthost) -> dict:
        shown = {name: getattr(stored, name) for name in TYPED}
        if stored.tls == rules.implied_tls(self.preset, stored.port):
            shown["tls"] = "" if self.preset.tls_possible else Tls.NONE
        return shown

    def _dress(self) -> None:
        preset, fields = self.preset, self.fields
        for name in ("name", *values.FREE):
            if name in fields:  # goes along when another preset is picked; credentials never travel in an address
                fields[name].widget.attrs["data-carried"] = ""
        fields["username"].label, fields["username"].help_text = preset.username_label, preset.username_hint
        fields["password"].label, fields["password"].help_text = preset.secret_label, preset.secret_hint
        fields["port"].help_text = f"Known to work: {', '.join(str(port) for port, _ in preset.ports)}."
        if preset.host_hint:
            fields["host"].help_text = preset.host_hint
        if preset.username:
            fields["username"].widget.attrs["readonly"] = True
        if rules.token_twice(preset):
            fields["username"].help_text += " Blank: the token below is used for both."
        if preset.regions:
            gone = {self.initial["region"]: f"{self.initial['region']}, which is not known any more"}
            regions = preset.regions | {slug: label for slug, label in gone.items() if slug not in preset.regions}
            fields["region"].widget = forms.Select(choices=list(regions.items()))
            fields["host"].help_text = "Not the region's own server. Blank: that one."
        apart = self.initial["host"] not in ("", *preset.hosts())  # saved before the preset was changed
        hidden = {"region"} if not preset.regions else set() if apart else {"host"}
        hidden |= {"username", "password"} if preset.auth == "none" else set()
        hidden |= {"verify_certificate"} if not preset.tls_possible else set()
        hidden |= {"iam_secret"} if preset.slug != "ses" else set()
        for name in hidden & set(fields):
            del fields[name]

    def clean_password(self) -> Secret | None:
        typed = self.cleaned_data["password"]
        secret = Secret(typed) if typed else None
        if secret is not None:
            validators.password(secret)
        return secret

    def values(self) -> Values:
        typed = {name: self.cleaned_data[name] for name in TYPED if name in self.cleaned_data}
        secret, derive = self.cleaned_data.get("password"), self.cleaned_data.get("iam_secret", False)
        return Values(**typed, preset=self.preset.slug, password=secret, iam_secret=derive)

    def refuse(self, error: ValidationError) -> None:
        """Puts a verb's complaint beside its field; on top where this preset shows no such field."""
        by_field = error.message_dict if hasattr(error, "error_dict") else {"__all__": error.messages}
        for field, messages in by_field.items():
            self.add_error(field if field in self.fields else None, messages)


class SmarthostForm(ValuesForm):
    """A shared provider on the settings page."""

    default = forms.BooleanField(
        required=False, label="Default: filled in by Load defaults, used where nothing else was chosen"
    )

    class Meta(ValuesForm.Meta):
        fields = ("name", *TYPED)

    def __init__(self, *args, preset: Preset, smarthost: Smarthost | None = None, **kwargs):
        self.smarthost = smarthost
        same = smarthost if smarthost and smarthost.preset == preset.slug else None
        super().__init__(*args, preset=preset, stored=same, **kwargs)
        self.initial.setdefault("name", smarthost.name if smarthost else "" if preset.any_port else preset.label)
        self.initial.setdefault("default", Smarthost.objects.default() is None)
        if smarthost:
            del self.fields["default"]

    def save(self, *, by: User) -> tuple[Smarthost, bool] | None:
        """The row, and whether its stored password was wiped; None with the complaints in the form."""
        name = self.cleaned_data["name"]
        try:
            if self.smarthost:
                return smarthosts.change(self.smarthost, name, self.values(), by=by)
            return smarthosts.create(name, self.values(), by=by, default=self.cleaned_data["default"]), False
        except ValidationError as error:
            self.refuse(error)
            return None
