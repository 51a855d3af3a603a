"""Whether a key opens a shell, read again: an option with which sshd lets nobody in leaves none."""

from django.db import migrations

from keymanager.key_options import is_sent, limits_of


def read_options(apps, schema_editor):
    """Write down what the options of each key say."""
    keys = apps.get_model("keymanager", "Key").objects
    for key in keys.exclude(options="").iterator():
        limits = limits_of(key.options)
        line = " ".join(filter(None, (key.options, key.type, key.blob, key.comment)))
        opens = limits.opens_shell and is_sent(key.options, line)
        keys.filter(pk=key.pk).update(ends_at=limits.ends_at, opens_shell=opens)


class Migration(migrations.Migration):
    dependencies = [
        ("keymanager", "0008_keys_from_url"),
    ]

    operations = [
        migrations.RunPython(read_options, migrations.RunPython.noop),
    ]
