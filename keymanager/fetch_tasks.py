"""The works around fetching; imported by tasks.py."""

from jobs import works
from keymanager import fetching, pushing

works.expect(pushing.FetchFailed)
works.register(pushing.PUSH, safe_to_repeat=True)(pushing.push)
works.register(pushing.FETCH, safe_to_repeat=True, again=True)(pushing.fetch)
works.register(fetching.FORGET, again=True)(fetching.forget)
