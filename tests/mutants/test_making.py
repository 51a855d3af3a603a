"""The same seed makes the same mutants, and each is one small fault that Python can read."""

from tests.mutants import making, report

SOURCE = '''"""About it."""

LIMIT = 3


def allowed(user, rows: list[int] | None = None) -> bool:
    """Whether."""
    if user.is_admin or user.pk in rows:
        return True
    note(user)
    raise ValueError("no")
'''


def test_the_same_seed_makes_the_same_mutants_and_another_one_others():
    def made(seed: int) -> list[str]:
        return [one.diff for one in making.sample([making.places("a.py", SOURCE)], 8, seed)]

    assert made(1) == made(1)
    assert made(1) != made(2)
    assert len(made(1)) == 8


def test_a_change_in_one_file_leaves_the_mutants_of_the_others():
    def made(first: str) -> list[str]:
        files = [making.places("a.py", first), making.places("b.py", SOURCE)]
        return [one.diff for one in making.sample(files, 16, 1) if one.name == "b.py"]

    now, before = made(f"{SOURCE}\n\nMORE = 1 + 2\n"), made(SOURCE)
    assert len(now) > 4
    assert now == before[: len(now)] or before == now[: len(before)]


def test_conditions_statements_and_returns_are_mutated_and_words_and_types_are_not():
    mutants = [one for place in making.places("a.py", SOURCE) for one in place]
    comes = {one.changed[1] for one in mutants}
    assert {
        "if user.is_admin and user.pk in rows:",
        "if user.is_admin:",
        "if user.pk in rows:",
        "if not (user.is_admin or user.pk in rows):",
        "if user.is_admin or user.pk not in rows:",
        "return False",
        "return None",
        "pass",
        "LIMIT = 4",
    } <= comes
    assert not any("XX" in line for line in comes)
    assert not any("list[int]" in one.changed[0] and "None = None" not in one.changed[0] for one in mutants)
    for one in mutants:
        compile(one.source, "a.py", "exec")


def test_only_what_was_chosen_is_mutated():
    source = f"{SOURCE}\n\nclass Rows:\n    def own(self):\n        return 1\n"
    assert {
        one.changed[1] for place in making.places("a.py", source, frozenset({"Rows"})) for one in place
    } == {
        "return None",
        "return 2",
    }


def test_what_lies_in_a_function_is_told_from_what_runs_at_import():
    inside = {one.changed[0]: one.inside for place in making.places("a.py", SOURCE) for one in place}
    assert inside["LIMIT = 3"] is False
    assert inside["return True"] is True


def test_every_explanation_is_of_lines_that_differ_and_says_why():
    for (file, goes, comes), why in report.explained().items():
        assert file.endswith(".py")
        assert goes != comes
        assert why
