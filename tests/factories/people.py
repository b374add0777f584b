import factory
from factory.django import DjangoModelFactory

from controlpanel.access.models import Role, User

PASSWORD = "correct horse battery staple"


class UserFactory(DjangoModelFactory):
    """Signs in with PASSWORD."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    name = factory.Sequence(lambda n: f"Person {n}")
    role = Role.VIEWER

    @classmethod
    def _create(cls, model_class, *args, password: str = PASSWORD, **kwargs):
        return model_class.objects.create_user(password=password, **kwargs)


class AdministratorFactory(UserFactory):
    role = Role.ADMINISTRATOR


class OperatorFactory(UserFactory):
    role = Role.OPERATOR


class ViewerFactory(UserFactory):
    role = Role.VIEWER


class CustomerFactory(UserFactory):
    """`CustomerFactory(servers=[server])` may see exactly these servers."""

    role = Role.CUSTOMER

    @factory.post_generation
    def servers(self, create, extracted, **kwargs):
        if create and extracted:
            self.servers.set(extracted)
