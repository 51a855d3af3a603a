"""What the embedded panel costs while nobody uses it, and how soon a job starts:
`.venv/bin/python -m bench.idle [--quick] [--json FILE]`.

Memory is the sum over launcher, web and worker (the scheduler is a thread of that): PSS, which shares out what
processes share, and RSS, which counts it for each. Processor time is in percent of one core.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

# What processes are told, they are told by the environment, before Django reads its settings here.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
WANTED = {"idle_pss_mib": 350.0, "idle_cpu_percent": 3.0, "job_start_ms": 100.0}
SETTLE = 15.0  # seconds from the first answer until nothing of the start is left


def processes(pid: int) -> list[psutil.Process]:
    """The launcher and all below it."""
    launcher = psutil.Process(pid)
    return [launcher, *launcher.children(recursive=True)]


def cpu_seconds(running: list[psutil.Process]) -> float:
    """Processor time they have used."""
    return sum(sum(process.cpu_times()[:2]) for process in running)


def idle_figures(pid: int, seconds: float) -> dict[str, float]:
    """Memory and processor time over so many seconds without work."""
    running = processes(pid)
    began, used = time.monotonic(), cpu_seconds(running)
    time.sleep(seconds)
    share = (cpu_seconds(running) - used) / (time.monotonic() - began)
    figures = {"idle_cpu_percent": round(100 * share, 2)}
    for process in running:
        words = " ".join(process.cmdline())
        name = "web" if "daphne" in words else "worker" if "celery" in words else "launcher"
        figures[f"{name}_pss_mib"] = round(process.memory_full_info().pss / 2**20, 1)
    figures["idle_pss_mib"] = round(sum(p.memory_full_info().pss for p in running) / 2**20, 1)
    figures["idle_rss_mib"] = round(sum(p.memory_info().rss for p in running) / 2**20, 1)
    return figures


def job_start(rounds: int) -> dict[str, float]:
    """From the row of a job to its start in the worker, in milliseconds."""
    from accounts.actors import Actor
    from jobs.models import Job
    from jobs.services import start_job

    waits = []
    for _ in range(rounds):
        job = start_job(Actor.system("bench"), "jobs.check", "Bench", {"seconds": 0, "lines": 1})
        while job.started_at is None:
            time.sleep(0.05)
            job = Job.objects.get(pk=job.pk)
        waits.append((job.started_at - job.created_at).total_seconds() * 1000)
        time.sleep(0.2)
    return {"job_start_ms": round(statistics.median(waits), 1), "job_start_worst_ms": round(max(waits), 1)}


def measure(folder: Path, quick: bool) -> dict[str, float]:
    """All figures, from a panel on `folder`."""
    from tests.panel import Panel

    os.environ.update(DATA_DIR=str(folder), GESTION_ENV_FILE=os.devnull)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gestion.settings")
    for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
        os.environ.pop(name, None)
    with Panel(folder) as panel:
        assert panel._process  # noqa: S101 - it answers
        time.sleep(SETTLE)
        figures = idle_figures(panel._process.pid, 20 if quick else 60)
        import django

        django.setup()
        return figures | job_start(10 if quick else 30)


def main() -> int:
    """Measure, print, and say whether all is as wanted."""
    parser = argparse.ArgumentParser(description="What the embedded panel costs while idle.")
    parser.add_argument("--quick", action="store_true", help="under a minute, rougher")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gestion-bench-") as folder:
        figures = measure(Path(folder), options.quick)
    met = all(figures[name] <= limit for name, limit in WANTED.items())
    wanted = {name: f"<= {limit:g}" for name, limit in WANTED.items()}
    for name, value in figures.items():
        print(f"{name:24} {value:10.1f}   {wanted.get(name, '')}")
    if options.json:
        options.json.write_text(json.dumps({"figures": figures, "wanted": wanted, "ok": met}, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
