"""Which folders may be backed up, and what may be left out of them."""

import pytest
from django.core.exceptions import ValidationError

from backups.folders import (
    excluded,
    validate_destination,
    validate_excludes,
    validate_source,
    validate_target,
)
from backups.forms.plans import BackupForm, FolderField


@pytest.mark.parametrize("text", ["/a\r/b", "/a\n/b", "/a,/b", "/a\r\n/b", " a , b"])
def test_what_is_left_out_is_a_list_however_it_is_broken(text):
    assert list(excluded(text)) == ["/a", "/b"]


@pytest.mark.parametrize(
    "folder",
    ["/srv/tmp [1]", "/a*b?c\\d", "/$(x) `y`", "/'q' \"d\"", "/Büro/José", "/data$", "/-rf", "/#x", "/a:b", "/.x/y."],
)  # fmt: skip
def test_folders_are_taken_as_offices_call_them(folder):
    validate_source(folder)
    validate_destination(f"/backups{folder}")


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("/srv/a ", "space at the end"), ("/srv/..data", "two dots"), ("/srv/x../y", "two dots"),
        ("/srv/../y", "absolute"), ("srv", "absolute"), ("/srv//x", "Write it as"), (f"/srv/{'é' * 128}", "255 bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_in_its_own_words(folder, words):
    for validate in (validate_source, validate_destination):
        with pytest.raises(ValidationError, match=words):
            validate(folder)


@pytest.mark.django_db
def test_a_space_at_the_end_is_refused_and_not_taken_away():
    form = BackupForm(data={"source_folder": "/srv/a ", "destination_folder": "/b/a "})
    assert not form.is_valid()
    assert form.cleaned_data["source_folder"] == "/srv/a "
    with pytest.raises(ValidationError, match="space at the end"):
        validate_target("/srv/a ")
    assert FolderField().clean("  /srv//a/ ") == "/srv/a"


@pytest.mark.parametrize("folder", ["/srv/a\x07b", "/srv/a\tb", "/srv/a\nb", "/srv/a\x85b"])
def test_control_characters_are_refused_as_what_they_are(folder):
    for validate in (validate_source, validate_destination, validate_target):
        with pytest.raises(ValidationError, match="control character"):
            validate(folder)
    with pytest.raises(ValidationError, match="another control character"):
        validate_excludes("/a\tb")
