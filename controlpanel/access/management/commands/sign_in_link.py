"""`manage.py sign_in_link EMAIL`: a way in from the terminal."""

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from controlpanel.access import links, people
from controlpanel.access.forms import EMAIL
from controlpanel.access.models import Role, User

TERMINAL = "command line"


class Command(BaseCommand):
    help = "Prints a one-time sign-in link for a person, who is created when missing. The old password ends on its use."

    def add_arguments(self, parser) -> None:
        parser.add_argument("email")
        parser.add_argument("--role", choices=Role.values, help="for a new person; default: viewer")

    @transaction.atomic
    def handle(self, *args, email: str, role: str | None, **options) -> None:
        try:
            EMAIL(email)
        except ValidationError as error:
            raise CommandError(error.message) from error
        person = User.objects.filter(email__iexact=email).first()
        if person is None:
            person, token = people.invite(email, role or Role.VIEWER, by=TERMINAL)
        elif not person.is_active:
            raise CommandError(f"{person} is deactivated. Reactivate the person on the People page first.")
        elif role and role != person.role:
            raise CommandError(f"{person} is already here as {person.role}. Change the role on the People page.")
        else:
            token = people.new_link(person, by=TERMINAL)
        self.stdout.write(links.url(token))
