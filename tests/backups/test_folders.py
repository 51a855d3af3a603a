"""Which folders may be backed up, and what may be left out of them."""

import pytest
from django.core.exceptions import ValidationError

from backups.folders import excluded, validate_source


@pytest.mark.parametrize("text", ["/a\r/b", "/a\n/b", "/a,/b", "/a\r\n/b", " a , b"])
def test_what_is_left_out_is_a_list_however_it_is_broken(text):
    assert list(excluded(text)) == ["/a", "/b"]


def test_a_folder_has_no_control_characters():
    validate_source("/srv/a")
    with pytest.raises(ValidationError, match="absolute folder"):
        validate_source("/srv/a\x07b")
