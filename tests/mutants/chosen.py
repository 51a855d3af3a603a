"""What is mutated, and by which tests it is judged."""

from pathlib import Path

# Patterns of files; after "::" the names of the only functions and classes of the file that are mutated.
CODE = (
    # What is done to a host
    "hosts/*.py",
    # Who gets in by which key
    "keymanager/desired.py",
    "keymanager/endpoint.py",
    "keymanager/key_options.py",
    "keymanager/keysets.py",
    "keymanager/lines.py",
    "keymanager/lockout.py",
    "keymanager/openssh.py",
    "keymanager/paths.py",
    "keymanager/protocol.py",
    "keymanager/tokens.py",
    # Who may do what
    "accounts/permissions.py",
    "backups/rights.py",
    "jobs/guarding.py",
    "jobs/rights.py",
    "jobs/models.py::JobQuerySet,_concerning",
    "servers/models/server.py::ServerQuerySet",
    "backups/models/plans.py::BackupQuerySet",
    "backups/models/restores.py::RestoreQuerySet",
    "backups/models/runs.py::BackupRunQuerySet",
    "backups/models/sets.py::BackupSetQuerySet",
    "fabrun/models.py::ScriptRunQuerySet",
    "forwarding/models/hostnames.py::HostnameForwardQuerySet",
    "forwarding/models/ports.py::PortForwardQuerySet",
    "wizards/models/runs.py::WizardRunQuerySet",
    # What a change of ports, hostnames and backups may cut off or overwrite
    "forwarding/hostname_claims.py",
    "forwarding/hostname_dangers.py",
    "forwarding/hostname_rules.py",
    "forwarding/port_dangers.py",
    "forwarding/port_rules.py",
    "forwarding/validators.py",
    "backups/folders.py",
    "backups/letting_in.py",
    "backups/rules.py",
    # Secrets in what is shown and kept
    "gestion/logs.py",
    "jobs/masking.py",
    "pages/hidden.py",
    # Signatures
    "accounts/shared_secrets.py",
    "githooks/signatures.py",
    "githooks/signers.py",
    "keymanager/answers.py",
    "keymanager/signing.py",
)
# Each in a run of its own. Not the lanes that want real hosts or a browser, nor what mostly waits for other processes:
# what runs there is not this process's code.
TESTS = (
    "tests/hosts",
    "tests/jobs",
    "tests/keymanager",
    "tests/forwarding",
    "tests/backups",
    "tests/githooks",
    "tests/pages/test_hidden.py",
    "tests/servers",
    "tests/accounts/test_permissions.py",
    "tests/accounts/test_token_scopes.py",
    "tests/accounts/test_users_pages.py",
    "tests/gestion/test_owners.py",
    "tests/gestion/test_path_filter.py",
)
PROCESSES = (
    "tests/forwarding/test_acme_*.py",
    "tests/jobs/test_broker.py",
    "tests/jobs/test_worker.py",
    "tests/keymanager/test_fetching.py",
    "tests/keymanager/test_script*.py",
    "tests/keymanager/test_shell.py",
)
# Lines that only a process of its own runs, a real Daphne, are judged by these.
BEYOND = {
    "keymanager/answers.py": "tests/keymanager/test_endpoint.py",
    "keymanager/endpoint.py": "tests/keymanager/test_endpoint.py",
    "keymanager/protocol.py": "tests/keymanager/test_endpoint.py",
    "keymanager/signing.py": "tests/keymanager/test_endpoint.py",
    "keymanager/tokens.py": "tests/keymanager/test_endpoint.py",
}


def code(root: Path) -> dict[str, frozenset[str]]:
    """Each chosen file, relative to root, with the names in it that are mutated; none: all."""
    found: dict[str, frozenset[str]] = {}
    for pattern in CODE:
        paths, _, names = pattern.partition("::")
        for path in sorted(root.glob(paths)):
            found[str(path.relative_to(root))] = frozenset(names.split(",")) if names else frozenset()
    return found
