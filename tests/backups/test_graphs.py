"""Where the points of a graph come to lie."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from backups.graphs import HEIGHT, WIDTH, Point, graph

START = datetime(2026, 1, 1, tzinfo=UTC)


def drawn(*values: float):
    points = [Point(START + timedelta(hours=number), value) for number, value in enumerate(values)]
    return graph("Size", points, lambda value: f"{value:g}")


def test_one_figure_is_no_graph():
    assert drawn() is None
    assert drawn(1) is None


def test_the_largest_is_at_the_top_and_nothing_at_the_lower_edge():
    made = drawn(0, 5, 10)
    assert [spot.x for spot in made.spots] == [0, WIDTH / 2, WIDTH]
    assert made.spots[0].y > made.spots[1].y > made.spots[2].y
    assert (made.most, made.least, made.last) == ("10", "0", "10")


@given(st.lists(st.floats(0, 1e15), min_size=2, max_size=50))
def test_every_point_lies_in_the_picture(values):
    made = drawn(*values)
    assert all(0 <= spot.x <= WIDTH and 0 <= spot.y <= HEIGHT for spot in made.spots)
    assert made.area.count(",") == len(values) + 2
