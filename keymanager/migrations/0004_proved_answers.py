"""When a host last proved an answer. Key sets get a new revision, because what no host would take is left out
of them now, and hosts refuse other keys under a revision that they have.
"""

from django.db import migrations, models
from django.db.models import F


def new_revisions(apps, schema_editor):
    """One more each; the clock's row, too, so that running processes look."""
    apps.get_model("keymanager", "KeySetRevision").objects.update(revision=F("revision") + 1)


class Migration(migrations.Migration):
    dependencies = [("keymanager", "0003_departures")]

    operations = [
        migrations.AddField(
            model_name="fetchreport", name="proved_at", field=models.DateTimeField(null=True)
        ),
        migrations.RunPython(new_revisions, migrations.RunPython.noop),
    ]
