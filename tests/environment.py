"""Loaded before Django reads its settings: tests never touch the data of a panel that is run here.

DATABASE_URL and CELERY_BROKER_URL are kept, because `tests/production.py` sets them. HYPOTHESIS_PROFILE chooses how
long properties are tried: `ci`, the same few examples each time, or `long`, ever new ones (`make fuzz`).
"""

import os
import tempfile
from typing import Any

from hypothesis import HealthCheck, settings

from tests import leftovers

leftovers.begin()

os.environ["GESTION_ENV_FILE"] = os.devnull
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="gestion-tests-")
os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "0123456789abcdef" * 4)
os.environ.setdefault("GESTION_ENCRYPTION_KEYS", "only-for-tests-" + "fedcba9876543210" * 4)
os.environ.setdefault("SAMBA_SECRET_KEY", "only-for-tests-" + "89abcdef01234567" * 4)
os.environ.setdefault("VM_PASS_SECRET", "only-for-tests-" + "76543210fedcba98" * 4)
if os.environ.get(
    "REDIS_URL"
):  # each of several processes that run tests side by side has a database of its own
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].rpartition("/")[0] + "/" + number
for name in ("GESTION_URL", "DEMO", "DEBUG", "TRUST_PROXY", "ALLOW_PLAIN_HTTP_KEYS"):
    os.environ.pop(name, None)

# No deadline: a busy machine is no fault. A fixture that stands for all examples of a test is meant so.
_common: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
settings.register_profile("ci", derandomize=True, database=None, print_blob=True, **_common)
settings.register_profile("long", max_examples=20_000, print_blob=True, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
