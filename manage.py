#!/usr/bin/env python
"""Django's command-line entry point."""

import sys


def main() -> None:
    """Run the management command named on the command line."""
    from gestion.data_folder import keep_private

    keep_private()
    from gestion.environment import end_if_wrong

    end_if_wrong()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
