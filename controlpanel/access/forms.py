"""What can be typed about people."""

from django import forms
from django.core.validators import EmailValidator, RegexValidator

from controlpanel.access.models import Role, User

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
        label="E-mail address",
        max_length=254,
        validators=[EmailValidator("An e-mail address looks like name@example.com.")],
        help_text="Used to sign in. No mail is sent.",
    )
    name = NameField()
    role = forms.ChoiceField(choices=Role, initial=Role.OPERATOR, help_text=_ROLE_HINT)


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
