from datetime import timedelta

import pytest
from django import forms
from django.template import Context, Template
from django.utils import timezone

from controlpanel.web import relative
from controlpanel.web.fields import SecretField
from controlpanel.web.words import LOOKS


def show(source: str, **context) -> str:
    return Template("{% load panel %}" + source).render(Context(context))


class SomeForm(forms.Form):
    name = forms.CharField(help_text="Any <name>.")
    password = SecretField(label="Password")
    agree = forms.BooleanField(required=False)
    kind = forms.ChoiceField(choices=[("a", "A"), ("b", "B")], widget=forms.RadioSelect)


@pytest.mark.parametrize("slug", LOOKS)
def test_a_state_is_a_word_a_colour_and_a_shape(slug):
    html = show("{% state slug %}", slug=slug)
    look = LOOKS[slug]
    assert f"state-{look.tone}" in html
    assert f"#{look.icon}" in html
    assert f">{look.word}<" in html


def test_shapes_tell_tones_apart_without_colour():
    shapes: dict[str, set[str]] = {}
    for look in LOOKS.values():
        shapes.setdefault(look.icon, set()).add(look.tone)
    assert not [icon for icon, tones in shapes.items() if {"good", "bad"} <= tones]


def test_an_unknown_state_says_unknown_and_its_detail_is_text():
    html = show("{% state 'nonsense' detail %}", detail="<b>")
    assert "Unknown" in html
    assert "&lt;b&gt;" in html


def test_icons_are_decoration_unless_named():
    assert 'aria-hidden="true"' in show("{% icon 'x' %}")
    assert 'aria-label="Close"' in show("{% icon 'x' label='Close' %}")


def test_a_time_is_relative_with_the_exact_one_on_hover():
    html = show("{% ago moment %}", moment=timezone.now() - timedelta(minutes=12))
    assert ">12 min ago</time>" in html
    assert "UTC" in html
    assert show("{% ago nothing %}", nothing=None) == "never"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "just now"), (50, "1 min ago"), (59 * 60, "59 min ago"), (7200, "2 h ago"), (86400 * 40, "1 mo ago")],
)
def test_one_unit_tells_the_age(seconds, words):
    now = timezone.now()
    assert relative.ago(now - timedelta(seconds=seconds), now) == words


@pytest.mark.parametrize(("value", "words"), [(0.42, "0.4 s"), (59, "59 s"), (75, "1 min 15 s"), (3725, "1 h 2 min")])
def test_durations(value, words):
    assert relative.duration(value) == words


def test_a_field_names_its_hint_and_its_complaint_for_a_screen_reader():
    form = SomeForm({"kind": "a"})
    html = show("{% field form.name %}", form=form)
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_name_error"' in html
    assert "Any &lt;name&gt;." in html


def test_a_secret_never_comes_back():
    form = SomeForm({"name": "x", "kind": "a", "password": "hunter2hunter2", "agree": "on"})
    assert form.is_valid()
    assert form.cleaned_data["password"] == "hunter2hunter2"
    assert "hunter2" not in show("{% fields form %}", form=form)


@pytest.mark.parametrize(("is_set", "said"), [(True, "Leave blank to keep it."), (False, "Not set")])
def test_a_secret_says_whether_it_is_set(is_set, said):
    form = SomeForm()
    form.fields["password"].is_set = is_set
    assert said in show("{% field form.password %}", form=form)


def test_a_secret_keeps_every_byte():
    form = SomeForm({"name": "x", "kind": "a", "password": "  # : ' \" \\ %  ü  "})
    assert form.is_valid()
    assert form.cleaned_data["password"] == "  # : ' \" \\ %  ü  "


def test_a_group_of_choices_has_a_legend():
    html = show("{% field form.kind %}", form=SomeForm())
    assert "<legend" in html
    assert html.count('class="form-check-input"') == 2
