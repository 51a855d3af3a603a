"""The wizards: each module here that has a `Wizard`, or a class that extends `_Wizard`, is found."""

from typing import Any


class _Wizard:
    """The base of a wizard that is a class with methods by number, as `docs/wizards.md` tells.

    A class sets the names and counts below and has `display_step_x(request)`, `save_step_x(form)` and `do_task_x()`
    for each number from 1. `step_data[x-1]` is what `save_step_x` returned, `task_data[x-1]` what `do_task_x` did.
    """

    _name: str
    _description: str
    _nb_step: int
    _nb_task: int
    _steps_names: list[str]
    _tasks_names: list[str]

    step_data: list[dict[str, Any]]
    task_data: list[dict[str, Any]]
