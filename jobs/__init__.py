"""Long work a person can watch: jobs, steps, log lines, progress, Stop."""
