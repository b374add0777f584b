"""Form fields as the panel shows them."""

from django import forms
from django.forms import BoundField
from django.forms.boundfield import BoundWidget

_CHECKS = (forms.CheckboxInput,)
_GROUPS = (forms.RadioSelect, forms.CheckboxSelectMultiple)
_SELECTS = (forms.Select,)


class SecretInput(forms.PasswordInput):
    """Write-only: what is stored never comes back to the browser, nor does a refused entry."""

    def __init__(self, attrs: dict | None = None):
        super().__init__({"autocomplete": "new-password", "spellcheck": "false", **(attrs or {})}, render_value=False)


class SecretField(forms.CharField):
    """Byte-exact text. Blank means "keep what is stored": `cleaned_data` then holds "". `is_set` is for the hint, which
    `kept` words where there are conditions.

    form.fields["password"].is_set = row.password is not None
    """

    widget = SecretInput
    is_set: bool | None = None
    kept = "Leave blank to keep it."

    def __init__(self, **kwargs):
        super().__init__(**{"required": False, "strip": False, **kwargs})


def _kind(widget: forms.Widget) -> str:
    if isinstance(widget, _CHECKS):
        return "check"
    if isinstance(widget, _GROUPS):
        return "group"
    if isinstance(widget, _SELECTS):
        return "select"
    return "secret" if isinstance(widget, forms.PasswordInput) else "text"


_CLASSES = {"check": "form-check-input", "select": "form-select", "text": "form-control", "secret": "form-control"}


def dress(bound: BoundField, hint: str = "", label: str = "") -> dict:
    """Context of components/field.html. The control names its hint and its complaint through aria-describedby."""
    kind = _kind(bound.field.widget)
    ident = bound.auto_id or bound.html_name
    hint = hint or str(bound.help_text or "")
    is_set = getattr(bound.field, "is_set", None)
    if is_set is not None:
        hint = f"{hint} {bound.field.kept}".strip() if is_set else hint
    described = [f"{ident}_helptext"] if hint else []  # Django's own names for these two
    described += [f"{ident}_error"] if bound.errors else []
    attrs = {"aria-describedby": " ".join(described)} if described else {}
    return {
        "bound": bound,
        "kind": kind,
        "ident": ident,
        "label": label or bound.label,
        "hint": hint,
        "secret_state": {True: "set", False: "not-set", None: ""}[is_set],
        "control": "" if kind == "group" else _control(bound, kind, attrs),
        "options": _options(bound) if kind == "group" else [],
        "described": " ".join(described),
        "required": bound.field.required,
    }


def _control(bound: BoundField, kind: str, attrs: dict):
    own = bound.field.widget.attrs.get("class", "")
    classes = f"{own} {_CLASSES[kind]} {'is-invalid' if bound.errors else ''}".strip()
    return bound.as_widget(attrs={"class": classes, **attrs})


def _options(bound: BoundField) -> list[BoundWidget]:
    for option in (options := list(bound.subwidgets)):
        option.data["attrs"]["class"] = "form-check-input"
    return options
