import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.fields
import servers.validators


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("jobs", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Tag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.SlugField(allow_unicode=True, max_length=40, unique=True, verbose_name="name"),
                ),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="PanelIdentity",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("private_key", accounts.fields.EncryptedTextField()),
                ("public_key", models.TextField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("pk", 1)), name="one_panel_identity")
                ],
            },
        ),
        migrations.CreateModel(
            name="Server",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        error_messages={"unique": "There is a server with this name already."},
                        help_text="The domain name of the machine.",
                        max_length=253,
                        unique=True,
                        validators=[servers.validators.validate_server_name],
                        verbose_name="name",
                    ),
                ),
                (
                    "keymanager_name",
                    models.CharField(
                        blank=True,
                        db_index=True,
                        help_text="Servers with the same keymanager name share one key set. Empty: the server's name.",
                        max_length=253,
                        validators=[servers.validators.validate_keymanager_name],
                        verbose_name="keymanager name",
                    ),
                ),
                ("is_vm", models.BooleanField(default=False, verbose_name="is a VM or container")),
                (
                    "external_ip",
                    models.GenericIPAddressField(
                        blank=True,
                        help_text="Empty for a container that is only on its host's internal network.",
                        null=True,
                        unpack_ipv4=True,
                        validators=[servers.validators.validate_ip],
                        verbose_name="external IP",
                    ),
                ),
                (
                    "internal_ip",
                    models.GenericIPAddressField(
                        blank=True,
                        help_text="On the internal network of its Proxmox host.",
                        null=True,
                        unpack_ipv4=True,
                        validators=[servers.validators.validate_ip],
                        verbose_name="internal IP",
                    ),
                ),
                (
                    "ssh_connection",
                    models.CharField(
                        blank=True,
                        help_text="As root@host, or -p 222 root@host. Empty: through its host, to the internal IP.",
                        max_length=300,
                        validators=[servers.validators.validate_connection],
                        verbose_name="SSH connection from Gestion",
                    ),
                ),
                (
                    "backup_ssh_connection",
                    models.CharField(
                        blank=True,
                        help_text="As root@host, or -p 222 root@host. Empty: as from Gestion.",
                        max_length=300,
                        validators=[servers.validators.validate_connection],
                        verbose_name="SSH connection from the backup server",
                    ),
                ),
                (
                    "external_interface",
                    models.CharField(
                        blank=True,
                        help_text="The one with the public address. Empty: vmbr0.",
                        max_length=15,
                        validators=[servers.validators.validate_interface],
                        verbose_name="external interface",
                    ),
                ),
                ("is_proxmox", models.BooleanField(default=False, verbose_name="is a Proxmox host")),
                (
                    "proxmox_node",
                    models.CharField(
                        blank=True,
                        help_text="As Proxmox shows it. Empty: the first part of the server's name.",
                        max_length=63,
                        validators=[servers.validators.validate_node_name],
                        verbose_name="Proxmox node name",
                    ),
                ),
                (
                    "external_hostname_for_vms",
                    models.CharField(
                        blank=True,
                        help_text="Where its guests' forwarded ports are reached. Empty: the server's name.",
                        max_length=253,
                        validators=[servers.validators.validate_server_name],
                        verbose_name="external hostname for VM creation",
                    ),
                ),
                ("samba_management", models.BooleanField(default=False, verbose_name="manage Samba")),
                (
                    "samba_base_folder",
                    models.CharField(
                        blank=True,
                        help_text="Shares lie inside this folder, such as /srv/shares.",
                        max_length=255,
                        validators=[servers.validators.validate_folder],
                        verbose_name="Samba base folder",
                    ),
                ),
                (
                    "notes",
                    models.TextField(
                        blank=True,
                        max_length=20000,
                        validators=[servers.validators.validate_text],
                        verbose_name="notes",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("version", models.PositiveBigIntegerField(default=1, editable=False)),
                (
                    "contact",
                    models.CharField(
                        choices=[
                            ("unknown", "not tried yet"),
                            ("ok", "reachable"),
                            ("unreachable", "unreachable"),
                            ("refused", "login refused"),
                            ("offered", "host key not accepted yet"),
                            ("changed", "host key changed"),
                        ],
                        default="unknown",
                        editable=False,
                        max_length=12,
                    ),
                ),
                ("contact_why", models.TextField(blank=True, editable=False)),
                ("contact_since", models.DateTimeField(editable=False, null=True)),
                ("checked_at", models.DateTimeField(editable=False, null=True)),
                ("last_contact_at", models.DateTimeField(editable=False, null=True)),
                ("failed_checks", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "next_check_at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False),
                ),
                (
                    "nginx_server",
                    models.ForeignKey(
                        blank=True,
                        help_text="The guest that forwards HTTP requests to the others.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="nginx_for",
                        to="servers.server",
                        verbose_name="nginx server",
                    ),
                ),
                (
                    "owners",
                    models.ManyToManyField(
                        blank=True,
                        help_text="See and operate this server; their keys are allowed on it.",
                        related_name="owned_servers",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owners",
                    ),
                ),
                (
                    "rollout_job",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="jobs.job",
                    ),
                ),
                (
                    "vm_host",
                    models.ForeignKey(
                        blank=True,
                        help_text="The server on which it runs.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="guests",
                        to="servers.server",
                        verbose_name="VM host",
                    ),
                ),
                (
                    "tags",
                    models.ManyToManyField(
                        blank=True, related_name="servers", to="servers.tag", verbose_name="tags"
                    ),
                ),
            ],
            options={
                "verbose_name": "server",
                "verbose_name_plural": "servers",
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name", django.db.models.functions.text.Lower("name"))),
                        name="server_name_is_lower_case",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("internal_ip__isnull", False), ("vm_host__isnull", False)),
                        fields=("vm_host", "internal_ip"),
                        name="internal_ip_once_a_host",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("vm_host__isnull", True),
                            models.Q(("vm_host", models.F("pk")), _negated=True),
                            _connector="OR",
                        ),
                        name="host_is_not_its_own_vm",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("nginx_server__isnull", True),
                            models.Q(("nginx_server", models.F("pk")), _negated=True),
                            _connector="OR",
                        ),
                        name="host_is_not_its_own_nginx",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("is_vm", False), ("vm_host__isnull", True)),
                            models.Q(("is_vm", True), ("vm_host__isnull", False)),
                            _connector="OR",
                        ),
                        name="a_vm_has_a_host",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("external_interface__gt", ""), ("is_proxmox", True), ("proxmox_node__gt", "")
                            ),
                            models.Q(
                                ("external_hostname_for_vms", ""),
                                ("external_interface", ""),
                                ("is_proxmox", False),
                                ("nginx_server__isnull", True),
                                ("proxmox_node", ""),
                            ),
                            _connector="OR",
                        ),
                        name="proxmox_settings_of_proxmox_only",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("samba_base_folder", ""), ("samba_management", False)),
                            models.Q(("samba_base_folder__gt", ""), ("samba_management", True)),
                            _connector="OR",
                        ),
                        name="samba_with_a_folder",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="UnixUser",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=32, validators=[servers.validators.validate_unix_name], verbose_name="name"
                    ),
                ),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="unix_users",
                        to="servers.server",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(fields=("server", "name"), name="unix_user_once_a_server"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("name__gt", ""), models.Q(("name__startswith", "-"), _negated=True)
                        ),
                        name="unix_user_is_no_option",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RolloutRecord",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=40)),
                ("revision", models.PositiveBigIntegerField()),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                ("asked_for", models.CharField(blank=True, max_length=255)),
                ("by_name", models.CharField(blank=True, max_length=120)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("applied", "applied"),
                            ("nothing", "nothing to do"),
                            ("failed", "failed, the old state is there"),
                            ("rollback_failed", "putting back failed"),
                        ],
                        max_length=20,
                    ),
                ),
                ("said", models.TextField(blank=True)),
                ("diff", models.TextField(blank=True)),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="jobs.job",
                    ),
                ),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rollout_records",
                        to="servers.server",
                    ),
                ),
            ],
            options={
                "ordering": ["-at", "-pk"],
                "indexes": [models.Index(fields=["server", "kind", "-at"], name="record_of_rollout")],
            },
        ),
        migrations.CreateModel(
            name="Rollout",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=40)),
                ("wanted", models.PositiveBigIntegerField(default=0)),
                ("applied", models.PositiveBigIntegerField(default=0)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("in_sync", "in sync"),
                            ("waiting", "waiting"),
                            ("applying", "applying"),
                            ("failed", "failed"),
                            ("drifted", "drifted"),
                            ("unreachable", "unreachable"),
                        ],
                        db_index=True,
                        default="waiting",
                        max_length=12,
                    ),
                ),
                ("since", models.DateTimeField(default=django.utils.timezone.now)),
                ("why", models.TextField(blank=True)),
                ("checked_at", models.DateTimeField(null=True)),
                ("diff", models.TextField(blank=True)),
                ("foreign", models.JSONField(default=list)),
                ("adopt", models.JSONField(default=list)),
                ("tries", models.PositiveIntegerField(default=0)),
                ("retry_at", models.DateTimeField(null=True)),
                ("retry_until", models.DateTimeField(null=True)),
                ("asked_for", models.CharField(blank=True, max_length=255)),
                ("asked_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("asked_by_name", models.CharField(blank=True, max_length=120)),
                (
                    "asked_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="jobs.job",
                    ),
                ),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rollouts",
                        to="servers.server",
                    ),
                ),
            ],
            options={
                "ordering": ["kind"],
                "constraints": [
                    models.UniqueConstraint(fields=("server", "kind"), name="rollout_once_a_kind"),
                    models.CheckConstraint(
                        condition=models.Q(("applied__lte", models.F("wanted"))), name="applied_was_wanted"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HostKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.TextField()),
                ("fingerprint", models.CharField(max_length=80)),
                ("seen_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("pinned_at", models.DateTimeField(null=True)),
                ("pinned_by", models.CharField(blank=True, max_length=120)),
                (
                    "server",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="host_keys",
                        to="servers.server",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("server", "fingerprint"), name="host_key_once_a_server")
                ],
            },
        ),
    ]
