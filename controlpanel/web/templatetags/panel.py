"""The tags pages are written with: {% load panel %}."""

from datetime import datetime

from django import template
from django.forms import BoundField
from django.forms.utils import flatatt
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html

from controlpanel.web import relative
from controlpanel.web.fields import dress
from controlpanel.web.words import FACTS, LOOKS

register = template.Library()
SPRITE = "vendor/tabler-icons-3.51.0/sprite.svg"


@register.simple_tag
def icon(name: str, classes: str = "", label: str = ""):
    """A shape of the sprite. Decoration unless it has a `label`."""
    naming = flatatt({"role": "img", "aria-label": label} if label else {"aria-hidden": "true"})
    return format_html(
        '<svg class="icon {}"{} focusable="false"><use href="{}#{}"></use></svg>', classes, naming, static(SPRITE), name
    )


@register.simple_tag
def state(slug: str, detail: str = "", word: str = ""):
    """A state as shape, word and colour. `word` replaces the table's word, never the shape or colour."""
    look = LOOKS.get(slug, LOOKS["unknown"])
    spin = "icon-spin" if look.tone == "busy" and look.icon == "loader-2" else ""
    note = format_html('<span class="state-detail">{}</span>', detail) if detail else ""
    return format_html(
        '<span class="state state-{}">{}<span class="state-word">{}</span></span>{}',
        look.tone,
        icon(look.icon, spin),
        word or look.word,
        note,
    )


@register.filter
def state_word(slug: str) -> str:
    return LOOKS.get(slug, LOOKS["unknown"]).word


@register.filter
def fact_word(name: str) -> str:
    return FACTS.get(name, name)


@register.simple_tag
def ago(moment: datetime | None, empty: str = "never"):
    """Relative, with the exact time on hover; the browser puts the exact one in the viewer's own zone."""
    if moment is None:
        return empty
    exact = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        exact.isoformat(timespec="seconds"),
        exact.strftime("%-d %b %Y, %H:%M:%S %Z"),
        relative.ago(moment, timezone.now()),
    )


@register.filter
def seconds(value: float | None) -> str:
    """4.2 -> "4.2 s", 75 -> "1 min 15 s"."""
    return "" if value is None else relative.duration(value)


@register.simple_tag
def elapsed(start: datetime | None, end: datetime | None = None) -> str:
    """How long something took, or has been taking."""
    return "" if start is None else relative.duration(((end or timezone.now()) - start).total_seconds())


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, hint: str = "", label: str = "", wide: bool = False) -> dict:
    """Label, control, hint and complaint of one form field, joined for a screen reader."""
    return dress(bound, hint=hint, label=label) | {"wide": wide}


@register.inclusion_tag("components/fields.html")
def fields(form) -> dict:
    """A whole form: its own complaints, hidden fields, then each field."""
    return {"form": form}


@register.inclusion_tag("components/sort_header.html")
def sort_header(listing, key: str, label: str, classes: str = "") -> dict:
    """A <th> that sorts a `web.listing.Listing` by `key`."""
    return {"listing": listing, "label": label, "classes": classes, **listing.sort_link(key)}
