"""Words about servers for templates: {% load trust %}."""

from django import template

from servers.jobs.launch import title
from servers.trust import compare_command

register = template.Library()
register.filter("compare_command", compare_command)
register.filter("action_label", title)
