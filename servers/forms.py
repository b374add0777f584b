"""What people type about a server. `inventory` has the last word; `complain` puts its words beside the field."""

import re

from django import forms
from django.core.exceptions import ValidationError

from controlpanel.access.models import Role, User
from controlpanel.web.fields import SecretField
from servers import validators
from servers.inventory import SECRETS
from servers.models import Server, SshKey
from servers.remote.secret import Secret


class Text(forms.CharField):
    """Only spaces around are dropped: a line break or a control character is refused, not swallowed."""

    def __init__(self, **kwargs):
        super().__init__(strip=False, **kwargs)
        self.widget.attrs.setdefault("spellcheck", "false")
        self.widget.attrs.setdefault("autocapitalize", "none")

    def to_python(self, value) -> str:
        return super().to_python(value).strip(" ")


class Address(Text):
    def to_python(self, value) -> str:
        return validators.normal_address(super().to_python(value))


class Port(forms.IntegerField):
    """Plain ASCII digits: int() alone takes "2_2", "22.0" and full-width digits too."""

    def to_python(self, value):
        if value not in self.empty_values and not re.fullmatch(r" *[0-9]{1,5} *", str(value)):
            raise ValidationError("A port is a number from 1 to 65535.")
        return super().to_python(value)


class Tags(Text):
    """Words separated by spaces or commas -> list of names."""

    def clean(self, value) -> list[str]:
        names = [name for name in re.split(r"[ ,]+", super().clean(value).lower()) if name]
        for name in names:
            validators.tag(name)
        return names


class Note(forms.CharField):
    def __init__(self, **kwargs):
        widget = forms.Textarea(attrs={"rows": 3})
        super().__init__(required=False, max_length=2000, validators=[validators.note], widget=widget, **kwargs)


class SecretText(forms.Textarea):
    """Several lines, write-only: a refused entry does not come back either."""

    def format_value(self, value):
        return None


class VerbForm(forms.Form):
    def complain(self, error: ValidationError) -> None:
        """What a verb refused, beside its field, or on top when the form has no such field."""
        for name, found in error.update_error_dict({}).items():
            self.add_error(name if name in self.fields else None, found)


class WhereForm(VerbForm):
    """Step one of adding a server, and the first card of its settings."""

    name = Text(max_length=63, validators=[validators.server_name], help_text="Its name in the panel, such as web-1.")
    address = Address(
        max_length=253, validators=[validators.address], help_text="Host name, IPv4 or IPv6 address of its SSH server."
    )
    port = Port(initial=22, validators=[validators.port])
    user = Text(
        label="User name",
        initial="root",
        max_length=32,
        validators=[validators.posix_user],
        help_text="The panel signs in as this user.",
    )
    jump = forms.ModelChoiceField(
        Server.objects.none(),
        label="Jump server",
        required=False,
        empty_label="None: the panel reaches it directly",
        help_text="Only when the panel cannot reach it directly.",
    )
    tags = Tags(required=False, max_length=400, help_text="Words to find and group it by, separated by spaces.")
    note = Note()

    def __init__(self, *args, server: Server | None = None, **kwargs):
        if server is not None:
            names = ("name", "address", "port", "user", "jump", "note")
            tags = " ".join(tag.name for tag in server.tags.all())
            kwargs["initial"] = {name: getattr(server, name) for name in names} | {"tags": tags}
        super().__init__(*args, **kwargs)
        others = Server.objects.live()
        self.fields["jump"].queryset = others.exclude(pk=server.pk) if server else others
        for name in SECRETS:
            if server is not None and getattr(server, name) is not None:
                self.fields[name] = SecretField(
                    label=name.replace("_", " ").capitalize(),
                    validators=[validators.secret_text],
                    help_text="Again, only when the address, port or user name changes: "
                    "a stored password is never sent to a new place.",
                )

    def values(self) -> dict:
        """Columns for inventory; a secret left blank is not among them."""
        secrets = {name: Secret(self.cleaned_data[name]) for name in SECRETS if self.cleaned_data.get(name)}
        return {name: value for name, value in self.cleaned_data.items() if name not in SECRETS} | secrets


class SignInForm(VerbForm):
    """Step three, and the second card of the settings: how the panel signs in and becomes root."""

    PASTE, ONCE, KEY, OWN, PASSWORD = "paste", "once", "key", "own", "password"
    METHODS = [
        (PASTE, "I paste the panel's public key on the server"),
        (ONCE, "One-time password: the panel installs its key and forgets the password"),
        (OWN, "My own private key"),
        (PASSWORD, "Stored password"),
    ]

    method = forms.ChoiceField(label="Sign in with", choices=METHODS, widget=forms.RadioSelect, initial=PASTE)
    password = SecretField(label="Password", validators=[validators.secret_text])
    ssh_key = forms.ModelChoiceField(
        SshKey.objects.none(), label="Key", required=False, empty_label="A new one, pasted below"
    )
    private_key = SecretField(
        label="Private key",
        widget=SecretText(attrs={"rows": 5, "autocomplete": "off", "spellcheck": "false", "class": "font-monospace"}),
        help_text="OpenSSH or PEM text without a passphrase. It is stored encrypted and never shown again.",
    )
    sudo = forms.ChoiceField(label="Root access", choices=Server.Sudo.choices, widget=forms.RadioSelect)
    sudo_password = SecretField(label="sudo password", validators=[validators.secret_text])

    def __init__(self, *args, server: Server, **kwargs):
        self.server = server
        own = server.ssh_key if server.ssh_key and not server.ssh_key.is_default else None
        method = self.PASSWORD if server.sign_in == Server.SignIn.PASSWORD else self.OWN if own else self.PASTE
        kwargs["initial"] = {"method": method, "ssh_key": own, "sudo": server.sudo}
        super().__init__(*args, **kwargs)
        self.fields["ssh_key"].queryset = SshKey.objects.filter(is_default=False)
        self.fields["password"].is_set = server.password is not None
        self.fields["sudo_password"].is_set = server.sudo_password is not None
        if server.user == "root":
            del self.fields["sudo"], self.fields["sudo_password"]

    def clean(self) -> dict:
        values = super().clean()
        method = values.get("method")
        if method == self.ONCE and not values.get("password"):
            self.add_error("password", "Type the password to sign in with once.")
        if method == self.OWN and not (values.get("private_key") or values.get("ssh_key")):
            self.add_error("private_key", "Paste the private key, or choose one that is stored.")
        return values

    def secret(self, name: str) -> Secret | None:
        typed = self.cleaned_data.get(name)
        return Secret(typed) if typed else None


class KeyNameForm(VerbForm):
    name = Text(max_length=80, validators=[validators.key_name])


class AddKeyForm(VerbForm):
    private_key = SecretField(
        required=True,
        label="Private key",
        widget=SecretText(attrs={"rows": 8, "autocomplete": "off", "spellcheck": "false", "class": "font-monospace"}),
        help_text="OpenSSH or PEM text without a passphrase. It is stored encrypted and never shown again.",
    )
    name = Text(
        required=False,
        max_length=80,
        validators=[validators.key_name],
        help_text="What you call it; left empty, it is called by its fingerprint.",
    )

    field_order = ("name", "private_key")

    def clean(self) -> dict:
        values = super().clean()
        if not values.get("private_key") and "private_key" not in self.errors:
            self.add_error("private_key", ValidationError("Paste the private key."))
        return values


class PeopleForm(forms.Form):
    people = forms.ModelMultipleChoiceField(
        User.objects.none(), label="Customers", required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args, server: Server, **kwargs):
        super().__init__(*args, initial={"people": server.people.all()}, **kwargs)
        self.fields["people"].queryset = User.objects.filter(role=Role.CUSTOMER, is_active=True)


class DeleteForm(forms.Form):
    """The name typed again, and a yes to leave what is installed there."""

    name = Text(label="Name of the server")
    forget = forms.BooleanField(required=False)

    def __init__(self, *args, server: Server, installed: list[str], **kwargs):
        super().__init__(*args, **kwargs)
        self.server = server
        self.fields["name"].help_text = f"Type {server.name} to confirm."
        if installed:
            self.fields["forget"].label = f"Leave {' and '.join(installed)} installed there, without the panel"
        else:
            del self.fields["forget"]

    def clean_name(self) -> str:
        if self.cleaned_data["name"] != self.server.name:
            raise ValidationError(f"This is not the name of the server, {self.server.name}.")
        return self.cleaned_data["name"]
