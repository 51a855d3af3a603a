"""Until when a key with an expiry-time (sshd(8), AUTHORIZED_KEYS FILE FORMAT) may sign."""

from datetime import UTC, datetime

import pytest

from githooks.signers import may_sign


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("20300102Z", datetime(2030, 1, 2, tzinfo=UTC)),
        ("203001020304Z", datetime(2030, 1, 2, 3, 4, tzinfo=UTC)),
        ("20300102030405Z", datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
def test_a_key_signs_until_it_expires_and_not_in_that_moment(text, end):
    options = f'expiry-time="{text}"'
    assert may_sign(options, end.replace(year=2029))
    assert not may_sign(options, end)
    assert not may_sign(options, end.replace(year=2031))


def test_a_time_without_a_zone_is_the_panels_own(settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    assert may_sign('expiry-time="203001020900"', datetime(2030, 1, 1, 23, 59, tzinfo=UTC))
    assert not may_sign('expiry-time="203001020900"', datetime(2030, 1, 2, 0, 0, tzinfo=UTC))


@pytest.mark.parametrize("options", ["no-pty", 'expiry-time="20301301Z"', 'expiry-time="20300101Z",no-pty'])
def test_a_key_that_is_limited_in_any_other_way_does_not_sign(options):
    assert not may_sign(options, datetime(2020, 1, 1, tzinfo=UTC))


def test_a_key_without_options_signs():
    assert may_sign("", datetime(2020, 1, 1, tzinfo=UTC))
