"""How many examples of a property are tried."""

from hypothesis import settings

LONGER = 100  # times as many in the profile `long`


def tried(times: int) -> settings:
    """So many examples in CI, a hundred times as many by `make fuzz`."""
    is_long = settings.get_current_profile_name() == "long"
    return settings(max_examples=times * (LONGER if is_long else 1))
