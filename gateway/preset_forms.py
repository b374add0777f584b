"""What an organisation changes of a preset."""

from django import forms
from django.core.exceptions import ValidationError

from controlpanel.access.models import User
from gateway import overrides
from gateway.overrides import Known
from gateway.providers import kinds, lists, overlay
from servers.validators import plain_text

GROUPS = (
    ("Where it answers", ("host", "ports", "regions", "default_region")),
    (
        "What it allows",
        (
            *("from_policy", "limits.connections", "limits.per_minute", "limits.per_hour", "limits.per_day"),
            *("limits.recipients", "limits.size", "limits.note"),
        ),
    ),
    ("What people are told", ("caveat",)),
    ("What it wants in DNS", ("dns.spf_include", "dns.spf_needed", "dns.dkim")),
    ("Where this comes from", ("verified", "source", "note")),
)
WIDE = ("from_policy", "limits.note", "caveat", "source", "note")
_LINES = (lists.Regions, lists.Keys)


class PresetForm(forms.Form):
    """Every field as it is typed; one that says what the built-in preset says is no change. All are posted, so a form
    that was opened before somebody else's change is refused."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    note = forms.CharField(
        required=False,
        max_length=2000,
        validators=[plain_text],
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Why it was changed. Only people who may use shared providers read it.",
    )

    def __init__(self, data=None, *, known: Known):
        super().__init__(data)
        self.known = known
        self.initial |= {"note": known.note, "seen": _stamp(known)}
        for field in overlay.offered(known.built_in):
            value = known.changes.get(field.name, field.of(known.built_in))
            self.fields[field.name] = _control(field, known)
            self.initial[field.name] = field.kind.spell(value)

    def groups(self) -> list[tuple[str, list]]:
        """[(heading, [(bound field, whether it is wide)])], what this preset has."""
        found = [
            (title, [(self[name], name in WIDE) for name in names if name in self.fields]) for title, names in GROUPS
        ]
        return [group for group in found if group[1]]

    def clean(self) -> None:
        if self.cleaned_data.get("seen") != _stamp(self.known):
            raise ValidationError(
                "Somebody changed these values since this page was opened, and saving would undo it. Open the page "
                "anew, then type your change again."
            )

    def save(self, *, by: User) -> Known | None:
        """None with the complaints in the form."""
        typed = {name: text for name, text in self.cleaned_data.items() if name not in ("note", "seen")}
        try:
            changes = overlay.read(self.known.built_in, typed)
            return overrides.change(self.known.built_in.slug, changes, self.cleaned_data["note"], by=by)
        except overlay.Refused as error:
            complaints = error.problems
        except ValidationError as error:
            complaints = error.message_dict
        for name, complaint in complaints.items():
            self.add_error(name if name in self.fields else None, complaint)
        return None


def _stamp(known: Known) -> str:
    return known.row.changed_at.isoformat() if known.row else ""


def _control(field, known: Known) -> forms.Field:
    built_in = field.kind.tell(field.of(known.built_in)).rstrip(".") or "nothing"
    hint = f"{field.hint} Built-in: {built_in}.".strip() if field.name in known.changes else field.hint
    told = {"label": field.label, "help_text": hint, "required": False}
    if isinstance(field.kind, kinds.Choice):
        return forms.ChoiceField(choices=list(field.kind.words.items()), **told)
    if isinstance(field.kind, kinds.OfRegions):
        regions = known.preset.regions
        return forms.ChoiceField(choices=[(slug, f"{label} ({slug})") for slug, label in regions.items()], **told)
    return forms.CharField(max_length=4000, widget=_widget(field), **told)


def _widget(field) -> forms.Widget:
    if isinstance(field.kind, _LINES):
        return forms.Textarea(attrs={"rows": 3, "class": "font-monospace", "spellcheck": "false"})
    if isinstance(field.kind, kinds.Text):
        return forms.Textarea(attrs={"rows": 3 if field.kind.longest > 500 else 2})
    if isinstance(field.kind, kinds.Day):
        return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.TextInput(attrs={"inputmode": "numeric"} if isinstance(field.kind, kinds.Number) else {})
