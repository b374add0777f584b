from django.db import migrations

from controlpanel.access import triggers


class Migration(migrations.Migration):
    dependencies = [("access", "0001_initial")]
    operations = [
        migrations.RunPython(
            lambda apps, schema: triggers.install(schema), lambda apps, schema: triggers.remove(schema)
        )
    ]
