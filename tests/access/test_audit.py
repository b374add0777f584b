import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from controlpanel.access import audit, triggers
from controlpanel.access.models import AppendOnly, AuditEntry
from servers.remote.secret import Secret


@pytest.fixture
def entry(administrator):
    with transaction.atomic():
        return audit.record(administrator, "changed", administrator, changed={"name": ["", "Ada"]})


def test_an_entry_is_refused_outside_the_transaction_of_its_change(administrator):
    with pytest.raises(audit.NotInTransaction):
        audit.record(administrator, "changed", administrator)


def test_a_change_that_fails_leaves_no_entry(administrator):
    with pytest.raises(RuntimeError), transaction.atomic():
        audit.record(administrator, "changed", administrator)
        raise RuntimeError
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("value", [Secret("x"), b"x", {"deep": [Secret("x")]}])
def test_a_secret_never_enters(administrator, value):
    with transaction.atomic(), pytest.raises(TypeError):
        audit.record(administrator, "changed", administrator, password=value)


def test_thousands_of_entries_are_a_few_statements_and_read_like_single_ones(
    administrator, django_assert_max_num_queries
):
    with transaction.atomic(), django_assert_max_num_queries(4):
        audit.record_many(administrator, "asked for", [("server", n, f"web\n{n}") for n in range(300)], batch=7)
    with transaction.atomic():
        single = audit.record(administrator, "asked for", ("server", 299, "web\n299"), batch=7)
    last = AuditEntry.objects.exclude(pk=single.pk).get(subject_id="299")
    read = ("actor", "actor_name", "verb", "subject_kind", "subject_id", "subject_name", "detail")
    assert [getattr(last, name) for name in read] == [getattr(single, name) for name in read]


def test_many_entries_keep_the_same_rules_as_one(administrator):
    with pytest.raises(audit.NotInTransaction):
        audit.record_many(administrator, "changed", [administrator])
    with transaction.atomic(), pytest.raises(TypeError):
        audit.record_many(administrator, "changed", [administrator], password=Secret("x"))
    assert not AuditEntry.objects.exists()


def test_the_model_refuses_to_alter_or_delete(entry):
    for alter in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(verb="x"),
    ):
        with pytest.raises(AppendOnly):
            alter()


@pytest.mark.parametrize("statement", ["UPDATE access_auditentry SET verb = 'x'", "DELETE FROM access_auditentry"])
def test_the_database_refuses_what_gets_past_the_model(entry, statement):
    with connection.schema_editor(atomic=False) if connection.vendor != "sqlite" else _sqlite_schema() as schema:
        triggers.install(schema)
    with pytest.raises(DatabaseError, match=triggers.REFUSAL), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEntry.objects.get().verb == "changed"


class _sqlite_schema:
    """Inside a test's transaction SQLite's own schema editor refuses to start; two statements need none."""

    def __enter__(self):
        self.connection = connection
        return self

    def __exit__(self, *error):
        return False

    def execute(self, statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)


def test_a_hostile_name_cannot_rewrite_the_line_it_stands_in(administrator):
    with transaction.atomic():
        entry = audit.record("\u202etxt.exe\x1b[2K", "added", ("server", 1, "a\nb"), note="\u2066x")
    assert entry.actor_name == "\\u202etxt.exe\\u001b[2K"
    assert entry.subject_name == "a\\u000ab"
    assert entry.detail == {"note": "\\u2066x"}


def test_pairs_read_as_before_and_after(entry):
    assert entry.pairs() == [("name", "empty → Ada")]


def test_the_page_lists_and_exports_without_formulas(administrator_client, administrator):
    with transaction.atomic():
        audit.record("=HYPERLINK(1)", "added", ("server", 1, "web-1"))
    shown = administrator_client.get(reverse("audit:list"), {"q": "web-1"})
    assert "web-1" in shown.content.decode()
    exported = administrator_client.get(reverse("audit:list"), {"format": "csv"}).content.decode()
    assert "'=HYPERLINK(1)" in exported
