"""Numbers in documents are those of the code."""

import pytest
from django.conf import settings

from backups.models.runs import WAITS
from backups.reading_copies import MOST_ENTRIES
from forwarding.models import HostnameForward
from githooks import git
from githooks.signatures import WINDOW
from githooks.views.hook import MOST_BODY
from hosts.bounds import KIB, MIB
from jobs.run import MOST_CHARACTERS, MOST_LINES
from jobs.stream import MOST_STREAMS
from keymanager import endpoint, found, key_urls, lines, protocol
from keymanager.services import from_url, keys
from notifications import mailing, posting, telling
from pages import limits
from proxmox.client import session
from samba import names
from tests.named import ROOT

USUAL = {field.name: field.default for field in HostnameForward._meta.fields}
FOUND = [
    ("backups.md", f"a folder with more than {MOST_ENTRIES:,} things"),
    ("backups.md", f"After {WAITS[0]}, {WAITS[1]} and {WAITS[2]} minutes"),
    ("forwarding.md", f"`max_fails` ({USUAL['max_fails']}), `fail_timeout` ({USUAL['fail_timeout']})"),
    ("forwarding.md", f"`body_size` in MiB ({USUAL['body_size']})"),
    ("git-hooks.md", f"Each git command ends after {git.SECONDS:.0f} seconds"),
    ("git-hooks.md", f"print {git.OUTPUT_BYTES // MIB} MiB, hold {git.MEMORY_BYTES // 1024**3} GiB of memory"),
    ("git-hooks.md", f"more than {MOST_BODY // MIB} MiB"),
    ("git-hooks.md", f"at most {WINDOW // 60} minutes off"),
    ("jobs.md", f"{MOST_LINES:,} lines or {MOST_CHARACTERS // 10**6} million characters"),
    ("jobs.md", f"follow {MOST_STREAMS} jobs at once"),
    ("keymanager.md", f"{key_urls.ANSWER_BYTES // KIB} KiB, {from_url.MOST_KEYS} keys and"),
    ("keymanager.md", f"keys and {key_urls.ANSWER_SECONDS:.0f} seconds"),
    ("keymanager.md", f"lines over {lines.MOST_BYTES:,} bytes"),
    ("keymanager.md", f"at most {keys.MOST_KEYS} keys"),
    ("keymanager-protocol.md", f"After **{protocol.STALE_HOURS} hours**"),
    ("keymanager-protocol.md", f"has up to {found.MOST_TOLD} entries"),
    ("keymanager-protocol.md", f"more than {endpoint.REFUSALS} refusals in a minute"),
    ("notifications.md", f"within {telling.GATHER:.0f} seconds are one mail, with at most {mailing.MOST_IN_ONE}"),
    ("notifications.md", f"at most {posting.ANSWER_BYTES // KIB} KiB of it are taken"),
    ("notifications.md", f"for at most {posting.LONGEST:.0f} seconds in all"),
    ("notifications.md", f"again for {telling.RETRY.until_hours:.0f} hours"),
    ("pages.md", f"{limits.MOST_QUERY} bytes, {limits.MOST_PARAMETERS} parameters"),
    ("pages.md", f"{limits.MOST_WORDS} words, {limits.LONGEST_SEARCH} characters"),
    ("pages.md", f"{settings.DATA_UPLOAD_MAX_NUMBER_FIELDS} values"),
    ("pages.md", f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE / MIB} MiB, "),
    ("proxmox.md", f"after {session.CONNECT_SECONDS:.0f} s to connect and {session.READ_SECONDS:.0f} s for a reading"),
    ("proxmox.md", f"{session.WRITE_SECONDS:.0f} s for a change"),
    ("samba.md", f"at most {names.LONGEST_NAME} characters"),
    ("samba.md", f"{names.LONGEST_PART} bytes a part"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "words"), FOUND, ids=lambda value: value)
def test_a_number_is_that_of_the_code(document: str, words: str) -> None:
    text = " ".join((ROOT / "docs" / document).read_text().split())
    assert words in text
