import base64
import json
import secrets
from io import StringIO

import pytest
from django.core import serializers
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import connection

from servers import fields
from servers.fields import Unreadable, Unsealed
from servers.models import Server, SshKey
from servers.remote.secret import MASK, Secret
from tests import factories

CANARY = "cañary $ ' \" \\ % 7f3a"


@pytest.fixture
def server(db):
    return factories.ServerFactory(sign_in="password", ssh_key=None, password=Secret(CANARY), sudo_password=Secret("2"))


def token(row, column: str) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {column} FROM {row._meta.db_table} WHERE id = %s",
            [row.pk.hex if connection.vendor == "sqlite" else row.pk],
        )
        return bytes(cursor.fetchone()[0])


def test_a_secret_comes_back_byte_for_byte(server):
    assert Server.objects.get(pk=server.pk).password.reveal() == CANARY.encode()


def test_the_raw_database_holds_no_plaintext(server):
    cells = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            cells += [cell for row in cursor.fetchall() for cell in row]
    everything = b"\n".join(bytes(c) if isinstance(c, (bytes, memoryview)) else str(c).encode() for c in cells)
    assert b"k1:\x80" in everything
    raw = CANARY.encode()
    for form in (raw, base64.b64encode(raw), raw.hex().encode(), json.dumps(CANARY).encode(), repr(raw).encode()):
        assert form not in everything


def test_a_token_copied_to_another_column_does_not_open(server):
    Server.objects.filter(pk=server.pk).update(sudo_password=token(server, "password"))
    with pytest.raises(Unreadable):
        _ = Server.objects.get(pk=server.pk).sudo_password


def test_a_token_copied_to_another_row_does_not_open(server):
    other = factories.ServerFactory()
    Server.objects.filter(pk=other.pk).update(password=token(server, "password"))
    with pytest.raises(Unreadable):
        _ = Server.objects.get(pk=other.pk).password


@pytest.mark.parametrize("at", range(0, 80, 7))
def test_a_flipped_bit_never_gives_a_value(server, at):
    damaged = bytearray(token(server, "password"))
    damaged[3 + at] ^= 1
    with pytest.raises((Unreadable, Unsealed)):
        Server.objects.filter(pk=server.pk).update(password=bytes(damaged))
        _ = Server.objects.get(pk=server.pk).password


def test_a_wrong_key_raises_and_never_gives_a_value(server, settings):
    other = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    settings.VAULT_KEYS = [(settings.VAULT_KEYS[0][0], other)]
    with pytest.raises(Unreadable, match="does not open"):
        _ = Server.objects.get(pk=server.pk).password
    settings.VAULT_KEYS = [("k9", other)]
    with pytest.raises(Unreadable, match="not on the key ring"):
        _ = Server.objects.get(pk=server.pk).password


@pytest.mark.parametrize("plain", [b"plaintext", b"k1:plaintext", "text"])
def test_nothing_unsealed_reaches_the_column(server, plain):
    with pytest.raises(Unsealed):
        Server.objects.filter(pk=server.pk).update(password=plain)
    with pytest.raises(Unsealed):
        server.password = plain
        server.save()
    with pytest.raises((Unsealed, TypeError)):
        Server.objects.bulk_create([factories.ServerFactory.build(ssh_key=None, password=plain)])


def test_a_secret_is_in_no_representation(server):
    shown = [
        repr(server),
        str(server),
        repr(server.password),
        f"{server.password}",
        str(server.__dict__),
        repr(server.login()),
    ]
    assert not any(CANARY in text or repr(CANARY.encode()) in text for text in shown)
    assert MASK in repr(server.login())
    with pytest.raises(TypeError):
        serializers.serialize("json", [server])
    with pytest.raises(TypeError):
        json.dumps({"password": server.password})


def test_a_sealed_column_is_never_searched(server):
    with pytest.raises((FieldError, Unsealed)):
        Server.objects.filter(password__contains=b"c").exists()
    assert Server.objects.filter(password__isnull=False).get() == server


def ring(settings, *ids: str) -> None:
    known = dict(getattr(ring, "known", {})) | dict(settings.VAULT_KEYS)
    for key_id in ids:
        known.setdefault(key_id, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    ring.known = known
    settings.VAULT_KEYS = [(key_id, known[key_id]) for key_id in ids]


def rotate() -> str:
    out = StringIO()
    call_command("rotate_keys", stdout=out, stderr=out)
    return out.getvalue()


def test_rotation_moves_every_secret_to_the_newest_key(server, settings):
    key = factories.SshKeyFactory()
    ring(settings, "k2", "k1")
    assert "3 secrets" in rotate()
    ring(settings, "k2")
    assert Server.objects.get(pk=server.pk).password.reveal() == CANARY.encode()
    assert SshKey.objects.get(pk=key.pk).private.reveal().startswith(b"-----BEGIN")
    assert "0 secrets" in rotate()


@pytest.mark.parametrize("row", range(4))
def test_a_rotation_that_died_is_run_again(db, settings, row, monkeypatch):
    servers = [factories.ServerFactory(by_password=True) for _ in range(4)]
    ring(settings, "k2", "k1")
    seal, done = fields.seal, []

    def dies(*args):
        if len(done) == row:
            raise KeyboardInterrupt
        done.append(1)
        return seal(*args)

    monkeypatch.setattr(fields, "seal", dies)
    with pytest.raises(KeyboardInterrupt):
        rotate()
    monkeypatch.undo()
    ring(settings, "k2", "k1")
    assert {Server.objects.get(pk=s.pk).password.reveal() for s in servers} == {b"canary-server-password"}
    rotate()
    ring(settings, "k2")
    assert {Server.objects.get(pk=s.pk).password.reveal() for s in servers} == {b"canary-server-password"}


def test_rotation_names_what_it_cannot_open_and_goes_on(server, settings):
    lost, known = factories.ServerFactory(by_password=True), token(server, "password")
    Server.objects.filter(pk=lost.pk).update(password=b"k0:" + known.partition(b":")[2])
    ring(settings, "k2", "k1")
    with pytest.raises(SystemExit) as ended:
        rotate()
    assert ended.value.code == 1
    assert fields.is_current(token(server, "password"))
