"""What can be asked of many gateways at once: who is left out and why, and what is launched for the others."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.module_loading import import_string

from controlpanel.access.gate import Permission
from controlpanel.access.models import AuditEntry
from gateway import bulk, gateways
from gateway.models import Gateway, Smarthost
from gateway.service import SERVICE
from servers.jobs.models import Batch, Job
from servers.jobs.rollout import Policy
from servers.models import Server
from servers.remote.secret import Secret
from tests.factories import GatewayFactory, OwnSmarthostFactory, ServerFactory, SmarthostFactory

pytestmark = pytest.mark.django_db


def filled(form, viewer, **data):
    made = form(data, viewer=viewer)
    assert made.is_valid(), made.errors
    return made


def left_out(form, servers=None) -> dict:
    return form.excluded(Server.objects.filter(pk__in=[s.pk for s in servers]) if servers else Server.objects.all())


def asked(form, by, **how) -> Batch:
    servers = Server.objects.exclude(pk__in=left_out(form))
    return form.ask(servers, by=by, **how).batch


def test_every_entry_of_the_catalogue_is_a_form_of_an_action_that_exists(administrator):
    for entry in SERVICE.bulk:
        form = import_string(entry.form)(viewer=administrator)
        assert form.effects(3)
        assert form.excluded(Server.objects.all()) == {}
        if form.action:
            assert SERVICE.action(form.action.removeprefix("gateway.")).danger == entry.danger
            assert SERVICE.action(form.action.removeprefix("gateway.")).permission == entry.permission
    assert next(entry for entry in SERVICE.bulk if entry.slug == "load-defaults").permission == Permission.SETTINGS


@pytest.mark.parametrize("entry", SERVICE.bulk, ids=lambda entry: entry.slug)
def test_who_is_left_out_costs_the_same_for_one_server_and_for_many(entry, administrator):
    SmarthostFactory(default=True)
    form = import_string(entry.form)(
        {"recipient": "a@example.com", "port": 2525, "tls": "starttls"}, viewer=administrator
    )
    assert form.is_valid()

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            form.excluded(Server.objects.all())
        return len(seen)

    def grow(count: int) -> None:
        for _ in range(count):
            ServerFactory()
            GatewayFactory(working=True)
            GatewayFactory(wanted=OwnSmarthostFactory(password=None))

    grow(1)
    one = queries()
    grow(6)
    assert queries() == one <= 4


def test_install_takes_the_wanted_provider_or_the_default(administrator):
    default, other = SmarthostFactory(default=True), SmarthostFactory()
    fresh, chosen = ServerFactory(), GatewayFactory(wanted=other).server
    batch = asked(filled(bulk.InstallForm, administrator), administrator, policy=Policy(canary=1))
    assert (batch.action, batch.options, batch.jobs.count()) == ("gateway.install", {}, 2)
    assert Gateway.objects.get(server=fresh).wanted == default
    assert Gateway.objects.get(server=chosen).wanted == other


def test_install_through_a_named_provider_reaches_those_with_another(operator):
    other, picked = SmarthostFactory(), SmarthostFactory()
    ServerFactory(), GatewayFactory(wanted=other, working=True)
    form = filled(bulk.InstallForm, operator, provider=str(picked.pk), replace_mta="on")
    assert left_out(form) == {}
    told = " ".join(form.effects(2))
    assert f"through {picked}" in told
    assert "1 server of the selection sends through another provider now." in told
    assert asked(form, operator).options == {"replace_mta": True}
    assert set(Gateway.objects.values_list("wanted", flat=True)) == {picked.pk}


def test_without_a_default_those_that_chose_nothing_are_left_out(administrator):
    bare, empty, fine = ServerFactory(), GatewayFactory(wanted=None).server, GatewayFactory().server
    form = filled(bulk.InstallForm, administrator)
    assert left_out(form) == dict.fromkeys((bare.pk, empty.pk), "No SMTP provider was chosen for it.")
    assert [job.server for job in asked(form, administrator).jobs.all()] == [fine]


def test_a_provider_without_its_password_is_left_out_or_refused(administrator):
    keyless = SmarthostFactory(password=None)
    unusable, fine = GatewayFactory(wanted=keyless, working=True).server, GatewayFactory(working=True).server
    for form in (filled(bulk.InstallForm, administrator), filled(bulk.ReinstallForm, administrator)):
        assert left_out(form) == {unusable.pk: "The password of its provider is not stored."}
        assert fine.pk not in left_out(form)
    form = bulk.InstallForm({"provider": str(keyless.pk)}, viewer=administrator)
    assert not form.is_valid()
    assert "none is stored" in str(form.errors["provider"])


def test_a_customer_neither_chooses_nor_falls_back_to_a_shared_provider(customer):
    default = SmarthostFactory(default=True)
    bare, own = ServerFactory(), GatewayFactory(wanted=OwnSmarthostFactory()).server
    for kind in (bulk.InstallForm, bulk.PreviewForm):
        form = filled(kind, customer, provider=str(default.pk))
        assert "provider" not in form.fields
        assert left_out(form, [bare, own]) == {bare.pk: "No SMTP provider was chosen for it."}
    with pytest.raises(gateways.NothingWanted):
        gateways.ask("gateway.install", [bare], by=customer)
    assert not Gateway.objects.filter(server=bare).exists()


def test_reinstall_test_and_uninstall_are_for_installed_gateways(administrator):
    bare, chosen = ServerFactory(), GatewayFactory().server
    GatewayFactory(working=True)
    missing = dict.fromkeys((bare.pk, chosen.pk), bulk.NOT_INSTALLED)
    for form in (
        filled(bulk.ReinstallForm, administrator),
        filled(bulk.BulkTestForm, administrator, recipient="a@example.com"),
        filled(bulk.UninstallForm, administrator),
    ):
        assert left_out(form) == missing
    assert left_out(filled(bulk.CheckForm, administrator)) == {bare.pk: bulk.NOT_INSTALLED}


def test_what_a_failed_install_left_behind_can_be_uninstalled(administrator):
    broken, unseen = GatewayFactory(state="broken").server, GatewayFactory(in_doubt=True).server
    assert left_out(filled(bulk.UninstallForm, administrator)) == {}
    assert asked(filled(bulk.UninstallForm, administrator), administrator).jobs.count() == 2
    assert {broken, unseen} == {job.server for job in Job.objects.all()}


def test_uninstall_counts_the_mail_that_waits_and_ticks_nothing_dangerous(administrator):
    GatewayFactory(working=True, queued=3), GatewayFactory(working=True, queued=4), GatewayFactory(working=True)
    form = filled(bulk.UninstallForm, administrator)
    left_out(form)
    assert "7 emails on 2 servers waited in the queues" in " ".join(form.effects(3))
    assert asked(form, administrator).options == {}
    Job.objects.all().delete()
    form = filled(bulk.UninstallForm, administrator, forget="on", purge_queue="on")
    assert asked(form, administrator).options == {"forget": True, "purge_queue": True}


def test_the_same_mail_is_asked_of_every_server(operator):
    GatewayFactory(working=True), GatewayFactory(working=True)
    assert bulk.BulkTestForm(viewer=operator).initial["recipient"] == operator.email
    form = filled(bulk.BulkTestForm, operator, recipient="a@example.com", subject="s")
    batch = asked(form, operator)
    assert batch.options == {
        "recipient": "a@example.com",
        "mail": {"sender": "", "subject": "s", "body": "", "html": False},
    }
    assert batch.jobs.count() == 2
    refused = bulk.BulkTestForm({"recipient": "not an address"}, viewer=operator)
    assert not refused.is_valid()


def test_a_preview_wants_nothing(operator):
    picked = SmarthostFactory()
    ServerFactory()
    batch = asked(filled(bulk.PreviewForm, operator, provider=str(picked.pk)), operator)
    assert (batch.action, batch.options) == ("gateway.preview", {"smarthost": str(picked.pk)})
    assert not Gateway.objects.exists()


def test_an_install_says_what_is_left_for_each_server_once_all_of_them_send(administrator):
    box = SmarthostFactory(preset="m365", host="smtp.office365.com", username="box@example.com")
    for _ in range(2):
        ServerFactory(), GatewayFactory(wanted=box, working=True)
    form = filled(bulk.InstallForm, administrator, provider=str(box.pk))
    left_out(form)
    assert "The account's limits are divided: each server may hand over one message every 8 seconds." in form.effects(4)
    form = filled(bulk.InstallForm, administrator, provider=str(SmarthostFactory().pk))
    left_out(form)
    assert not any("divided" in effect for effect in form.effects(4))


def test_loading_defaults_chooses_and_launches_nothing(administrator):
    default = SmarthostFactory(default=True, name="main")
    already, own = GatewayFactory(wanted=default).server, OwnSmarthostFactory()
    other = GatewayFactory(server=own.server, wanted=own, working=True).server
    bare = ServerFactory()
    form = filled(bulk.LoadDefaultsForm, administrator)
    assert left_out(form) == {already.pk: "The default provider is chosen for it already."}
    done = form.ask(Server.objects.exclude(pk=already.pk), by=administrator)
    assert (done.batch, Job.objects.count()) == (None, 0)
    assert done.told == "main is chosen for 2 servers. Reinstall the email gateway there to use it."
    assert set(Gateway.objects.filter(wanted=default).values_list("server", flat=True)) == {
        already.pk,
        other.pk,
        bare.pk,
    }
    gateway = Gateway.objects.get(server=other)
    assert (gateway.applied, gateway.state, gateway.pending) == (own, "working", True)
    assert AuditEntry.objects.filter(verb="chose SMTP provider", actor=administrator).count() == 2


def test_defaults_cannot_be_loaded_without_one_that_works(administrator):
    assert not bulk.LoadDefaultsForm({}, viewer=administrator).is_valid()
    SmarthostFactory(default=True, password=None)
    assert not bulk.LoadDefaultsForm({}, viewer=administrator).is_valid()
    with pytest.raises(ValidationError):
        gateways.want({ServerFactory(): Smarthost.objects.default()}, by=administrator)


def test_asking_many_takes_no_more_statements_than_asking_few(administrator):
    SmarthostFactory(default=True)

    def statements(count: int) -> int:
        fresh = [ServerFactory() for _ in range(count)]
        with CaptureQueriesContext(connection) as seen:
            gateways.ask("gateway.install", fresh, by=administrator)
        return len(seen)

    assert statements(2) == statements(12)


def test_no_secret_in_a_form_or_a_batch(administrator):
    picked = SmarthostFactory(password=Secret("canary-bulk"), default=True)
    ServerFactory()
    form = filled(bulk.InstallForm, administrator, provider=str(picked.pk))
    batch = asked(form, administrator)
    told = [*form.effects(1), form.as_p(), str(batch.options), *AuditEntry.objects.values_list("detail", flat=True)]
    assert "canary-bulk" not in str(told)
