"""Loaded before Django reads its settings: tests never touch the data of a panel that is run here.

DATABASE_URL and CELERY_BROKER_URL are kept, because `tests/production.py` sets them.
"""

import os
import tempfile

os.environ["GESTION_ENV_FILE"] = os.devnull
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="gestion-tests-")
os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "0123456789abcdef" * 4)
os.environ.setdefault("GESTION_ENCRYPTION_KEYS", "only-for-tests-" + "fedcba9876543210" * 4)
os.environ.setdefault("SAMBA_SECRET_KEY", "only-for-tests-" + "89abcdef01234567" * 4)
os.environ.setdefault("VM_PASS_SECRET", "only-for-tests-" + "76543210fedcba98" * 4)
for name in ("GESTION_URL", "DEMO", "DEBUG", "TRUST_PROXY", "ALLOW_PLAIN_HTTP_KEYS"):
    os.environ.pop(name, None)
