"""Sealed columns: the only importer of the cipher library.

A sealed value is `<key id>:<ciphertext>`. The key of each box is derived from the key ring for one column of one row,
so a ciphertext copied into another column or row does not open, and a wrong key raises instead of giving a value.
"""

import base64
import re
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django_cryptography.core.signing import FernetSigner
from django_cryptography.utils.crypto import FernetBytes

from servers.remote.secret import Secret

_SEALED = re.compile(rb"[\w-]{1,32}:\x80", re.ASCII)  # key id, then the cipher's version byte


class Unreadable(Exception):
    """A stored secret cannot be opened with the keys of this panel."""

    hint = "Restore the key file that belongs to this database, or set the secret again."


@lru_cache(maxsize=4096)
def _box(master: str, context: str) -> FernetBytes:
    okm = HKDF(hashes.SHA256(), 64, salt=b"fleetpost-v1", info=context.encode()).derive(
        base64.urlsafe_b64decode(master)
    )
    return FernetBytes(okm[:32], FernetSigner(okm[32:]))


class Unsealed(TypeError):
    """Something that is not sealed was about to be stored in a sealed column."""


def seal(value: bytes, context: str) -> bytes:
    key_id, master = settings.VAULT_KEYS[0]
    return key_id.encode() + b":" + _box(master, context).encrypt(value)


def is_current(token: bytes) -> bool:
    """Whether `token` is sealed with the newest key of the ring."""
    return token.partition(b":")[0] == settings.VAULT_KEYS[0][0].encode()


def unseal(token: bytes, context: str) -> bytes:
    key_id, _, ciphertext = token.partition(b":")
    master = dict(settings.VAULT_KEYS).get(key_id.decode("ascii", "replace"))
    if master is None:
        raise Unreadable(f"sealed with key {key_id.decode('ascii', 'replace')}, which is not on the key ring")
    try:
        return _box(master, context).decrypt(ciphertext)
    except Exception as error:  # the library raises four unrelated types; none may reach a caller as a value
        raise Unreadable(f"{context} does not open") from error


class _SealedAttribute(DeferredAttribute):
    """Reading gives a Secret or None; a Secret assigned is sealed at once, bytes are taken as already sealed."""

    def _context(self, instance) -> str:
        meta = self.field.model._meta
        return f"{meta.label_lower}.{self.field.attname}:{meta.pk.to_python(instance.pk)}"

    def __get__(self, instance, cls=None):
        if instance is None:
            return self
        token = super().__get__(instance, cls)
        return Secret(unseal(token, self._context(instance))) if token else None

    def __set__(self, instance, value):
        if isinstance(value, Secret):
            value = seal(value.reveal(), self._context(instance))
        elif value is not None and not isinstance(value, (bytes, memoryview)):
            raise Unsealed("a sealed column takes a Secret")
        instance.__dict__[self.field.attname] = bytes(value) if value is not None else None


class SecretField(models.BinaryField):
    """A sealed column. Its model needs a UUID primary key with a default, declared first."""

    descriptor_class = _SealedAttribute

    def __init__(self, *args, **kwargs):
        kwargs |= {"null": True, "blank": True, "editable": False}
        super().__init__(*args, **kwargs)

    def pre_save(self, model_instance, add):
        return model_instance.__dict__.get(self.attname)

    def get_db_prep_value(self, value, connection, prepared=False):
        """The last gate before the database, for save, update and bulk_create alike: plain bytes are refused."""
        if value is not None and not (isinstance(value, (bytes, memoryview)) and _SEALED.match(bytes(value))):
            raise Unsealed(f"{self.model._meta.label}.{self.attname} holds sealed values only")
        return super().get_db_prep_value(value, connection, prepared)

    def value_to_string(self, obj) -> str:
        raise TypeError("a sealed column is not serialised")

    def get_lookup(self, lookup_name):
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None
