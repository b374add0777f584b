"""main.cf keeps every byte that is not ours."""

import pytest

from gateway.postfix import maincf

FOREIGN = """# head
a = 1
 continued
# comment inside
   more
relayhost=[one]
b=2

relayhost = [two]
\tx
# tail"""


def test_last_definition_wins_and_continuations_join():
    assert maincf.values(FOREIGN) == {"a": "1 continued more", "relayhost": "[two] x", "b": "2"}


def test_edit_defines_each_parameter_once_in_its_last_place():
    text = maincf.edit(FOREIGN, {"relayhost": "[new]:587", "c": ""})
    assert text.count("relayhost") == 1 and text.index("b=2") < text.index("relayhost = [new]:587")
    assert text.startswith("# head\na = 1\n continued\n# comment inside\n   more\nb=2\n")
    assert text.endswith(f"# tail\n\n{maincf.MARK}\nc =\n")
    assert maincf.edit(text, {"relayhost": "[new]:587", "c": ""}) == text


@pytest.mark.parametrize(
    "text", ["", "a = 1\n", "relayhost = x\n# c\n", "\n\n# only comments\n", "a=1\r\nrelayhost=y\r\n"]
)
def test_restore_is_the_inverse_of_edit(text):
    settings = {"relayhost": "[new]:587", "smtp_tls_security_level": "secure"}
    edited = maincf.edit(text, settings)
    back, kept = maincf.restore(edited, settings, maincf.raws(text, settings))
    assert maincf.unmark(back) == text and not kept


def test_restore_keeps_what_a_person_changed_since():
    edited = maincf.edit("relayhost = x\n", {"relayhost": "[new]:587", "c": "1"})
    changed = edited.replace("c = 1", "c = 2") + "d = 3\n"
    back, kept = maincf.restore(
        changed, {"relayhost": "[new]:587", "c": "1"}, {"relayhost": ["relayhost = x\n"], "c": []}
    )
    assert kept == ["c"] and maincf.values(back) == {"relayhost": "x", "c": "2", "d": "3"}


def test_any_bytes_survive():
    content = b"a = \xff\xfe\n# \x80\n"
    assert maincf.encode(maincf.edit(maincf.decode(content), {})) == content
