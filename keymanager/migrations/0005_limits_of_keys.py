"""Until when a key opens a shell, and whether it does, for queries: from the options that are there."""

from django.db import migrations, models

from keymanager.key_options import limits_of
from keymanager.lines import is_key


def read_options(apps, schema_editor):
    """Write down what the options of each key say."""
    keys = apps.get_model("keymanager", "Key").objects
    for key in keys.exclude(options="").iterator():
        limits = limits_of(key.options)
        sent = is_key(f"{key.options} {key.type} {key.blob}".encode(errors="replace"))
        keys.filter(pk=key.pk).update(ends_at=limits.ends_at, opens_shell=limits.opens_shell and sent)


class Migration(migrations.Migration):
    dependencies = [
        ("keymanager", "0004_proved_answers"),
    ]

    operations = [
        migrations.AddField(
            model_name="key",
            name="ends_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="key",
            name="opens_shell",
            field=models.BooleanField(default=True, editable=False),
        ),
        migrations.RunPython(read_options, migrations.RunPython.noop),
    ]
