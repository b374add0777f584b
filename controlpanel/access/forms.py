"""What can be typed about people."""

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.validators import EmailValidator, RegexValidator

from controlpanel.access.links import UNNAMED
from controlpanel.access.models import Role, User
from controlpanel.web.fields import SecretInput

EMAIL = EmailValidator("An email address looks like name@example.com.")
_PRINTABLE = RegexValidator(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]",
    "A name is one line of text without control characters or text-direction marks.",
    inverse_match=True,
)
_ROLE_HINT = (
    "Administrators can do everything. Operators run actions and never see passwords. Viewers look. "
    "Customers see only the servers assigned to them."
)


class NameField(forms.CharField):
    def __init__(self, **kwargs):
        super().__init__(max_length=120, required=False, validators=[_PRINTABLE], **kwargs)


class InviteForm(forms.Form):
    email = forms.EmailField(
        label="Email address",
        max_length=254,
        validators=[EMAIL],
        help_text="Used to sign in. No mail is sent.",
    )
    name = NameField()
    role = forms.ChoiceField(choices=Role, initial=Role.OPERATOR, help_text=_ROLE_HINT)


class WelcomeForm(forms.Form):
    """First password of somebody a link let in; the first administrator gives an address as well."""

    email = forms.EmailField(
        label="Email address", max_length=254, validators=[EMAIL], help_text="What you sign in with from now on."
    )
    name = NameField()
    password1 = forms.CharField(label="Password", strip=False, help_text="At least 12 characters.", widget=SecretInput)
    password2 = forms.CharField(label="Password again", strip=False, widget=SecretInput)

    def __init__(self, *args, person: User, **kwargs):
        super().__init__(*args, initial={"name": person.name, "email": person.email}, **kwargs)
        self.person = person
        if person.email == UNNAMED:
            self.initial["email"] = ""
        else:
            self.fields["email"].disabled = True

    def clean(self) -> dict:
        cleaned = super().clean()
        password = cleaned.get("password1")
        if password and cleaned.get("password2") not in (None, password):
            self.add_error("password2", "The two passwords differ.")
        elif password:
            self._judge(password)
        return cleaned

    def _judge(self, password: str) -> None:
        try:
            validate_password(password, self.person)
        except forms.ValidationError as error:
            self.add_error("password1", error)

    def chosen(self) -> dict:
        return {"password": self.cleaned_data["password1"], **{k: self.cleaned_data[k] for k in ("email", "name")}}


class PersonForm(forms.Form):
    name = NameField()
    role = forms.ChoiceField(choices=Role, help_text=_ROLE_HINT)


class ProfileForm(forms.ModelForm):
    name = NameField()

    class Meta:
        model = User
        fields = ["name", "theme", "compact"]
        widgets = {"theme": forms.RadioSelect}
        labels = {"compact": "Compact lists"}
        help_texts = {"theme": "Auto follows your device.", "compact": "Smaller text and rows, for long lists."}
