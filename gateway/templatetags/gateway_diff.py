"""Lines of a unified diff, told apart by sign and colour."""

from django import template
from django.utils.html import format_html

register = template.Library()
_CLASSES = (("+++", "text-secondary"), ("---", "text-secondary"), ("@@", "text-secondary"))


@register.simple_tag
def diff_line(line: str):
    """Remote text: escaped. The sign stays, so that colour is never the only mark."""
    for start, classes in (*_CLASSES, ("+", "state-good"), ("-", "state-bad")):
        if line.startswith(start):
            return format_html('<span class="{}">{}</span>', classes, line)
    return line
