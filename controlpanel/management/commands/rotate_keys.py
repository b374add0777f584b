"""Seals every stored secret again with the newest key of the ring."""

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import transaction

from controlpanel import second_factor
from servers.fields import SecretField, Unreadable, is_current
from servers.management.console import NOT_ALL


class Command(BaseCommand):
    help = (
        "Seals every stored secret with the first key of the key file. Put a new line at its top first, restart the "
        "panel, run this, then remove the old line. Stopped half-way it is simply run again."
    )

    def handle(self, **options):
        moved, stuck = 0, []
        for model in apps.get_models():
            columns = [field.attname for field in model._meta.concrete_fields if isinstance(field, SecretField)]
            for pk in model.objects.values_list("pk", flat=True).iterator() if columns else ():
                try:
                    moved += reseal(model, pk, columns)
                except Unreadable as error:
                    stuck.append(f"{model._meta.label} {pk}: {error}")
        moved += second_factor.reseal()
        self.stdout.write(f"{moved} secrets sealed with the newest key.")
        for line in stuck:
            self.stderr.write(line)
        if stuck:
            self.stderr.write(Unreadable.hint)
            raise SystemExit(NOT_ALL)


def reseal(model, pk, columns: list[str]) -> int:
    """Moves one row to the newest key, in one transaction: a row is sealed with the old key or the new one, never
    half. Returns how many columns changed."""
    with transaction.atomic():
        row = model.objects.select_for_update().filter(pk=pk).first()
        if row is None:
            return 0
        old = [column for column in columns if row.__dict__[column] and not is_current(row.__dict__[column])]
        for column in old:
            setattr(row, column, getattr(row, column))
        if old:
            model.objects.filter(pk=pk).update(**{column: row.__dict__[column] for column in old})
        return len(old)
