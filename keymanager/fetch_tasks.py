"""The works around fetching; imported by tasks.py."""

from jobs import works
from keymanager import departures, fetching, pushing

works.expect(pushing.FetchFailed, departures.NotGoneYet)
works.register(
    departures.DEPART, safe_to_repeat=True, retry_on=(departures.NotGoneYet,), again=True, by_rows=True
)(departures.depart)
works.register(pushing.PUSH, safe_to_repeat=True)(pushing.push)
works.register(pushing.FETCH, safe_to_repeat=True, again=True, touches=lambda servers: servers)(pushing.fetch)
works.register(fetching.FORGET, again=True)(fetching.forget)
