"""The pages of certificates, and the services behind them."""

from datetime import timedelta
from functools import partial

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import AuditEntry
from forwarding.certificate_states import day_level, standing
from forwarding.desired_hostnames import desired
from forwarding.forms.certificates import UploadForm
from forwarding.models import (
    CertificateOrder,
    CertificateReading,
    HostnameClaim,
    HostnameForward,
    StoredCertificate,
)
from forwarding.services.certificates import store_certificate
from forwarding.services.hostnames import change_hostname, create_hostname
from hosts.state import File
from jobs.models import Job
from pages.hidden import hidden_in
from servers.foretelling import foretell
from servers.models import Rollout
from tests.forwarding.made_certificates import DAY, authority, new_key, pair, pem_of, text_of

JSON = {"accept": "application/json"}
NAME = "www.example.org"


@pytest.fixture
def hostname(web, actor) -> HostnameForward:
    """A hostname that is served by plain HTTP."""
    return create_hostname(actor, web.hostname(), web.to(web.web1))


def url(hostname: HostnameForward, name: str = "certificate") -> str:
    return reverse(f"forwarding:{name}", args=[hostname.pk])


def upload(client, hostname, chain: str, key: str):
    return client.post(url(hostname, "upload_certificate"), {"chain": chain, "key": key})


def files(hostname) -> dict[str, File]:
    items = desired(hostname.host.nginx_server).items
    return {item.path: item for item in items if isinstance(item, File)}


def test_an_uploaded_pair_is_kept_served_and_told(admin_client, hostname):
    chain, key = pair(NAME)
    answer = upload(admin_client, hostname, chain, key)
    assert (answer.status_code, answer["Location"]) == (302, url(hostname))
    stored = StoredCertificate.objects.get()
    assert (stored.chain, stored.key, stored.source) == (chain, key, "uploaded")
    hostname.refresh_from_db()
    assert hostname.certificate_kind == "uploaded"
    assert HostnameClaim.objects.filter(hostname=hostname, port=443, tls=True).exists()
    got = files(hostname)
    own = f"/etc/nginx/gestion/certificates/{hostname.pk}"
    assert got[f"{own}.pem"].content.decode() == chain
    assert (got[f"{own}.key"].content.decode(), got[f"{own}.key"].mode, got[f"{own}.key"].secret) == (
        key,
        0o600,
        True,
    )
    assert Rollout.objects.get(kind="nginx").wanted >= 2
    page = admin_client.get(url(hostname)).content.decode()
    assert "89 days left" in page
    assert stored.fingerprint in page


def test_that_a_kept_certificate_goes_with_its_hostname_is_said_whatever_it_is_served_with(
    admin_client, hostname
):
    page = f"{hostname.get_absolute_url()}delete/"
    assert "Its certificate goes with it" not in admin_client.get(page).content.decode()
    upload(admin_client, hostname, *pair(NAME))
    for kind in ("uploaded", "none"):  # it is kept, and served again once that is chosen
        type(hostname).objects.update(certificate_kind=kind)
        assert "Its certificate goes with it" in admin_client.get(page).content.decode(), kind


def test_a_program_uploads_as_well(admin_client, hostname):
    chain, key = pair(NAME)
    answer = admin_client.post(
        url(hostname, "upload_certificate"), {"chain": chain, "key": key},
        content_type="application/json", headers=JSON,
    )  # fmt: skip
    assert answer.json()["ok"]
    assert answer.json()["names"] == [NAME]
    told = admin_client.get(url(hostname), headers=JSON).json()
    assert (told["kind"], told["level"]) == ("uploaded", "ok")
    assert "PRIVATE" not in str(told) + str(answer.json())


def test_files_are_taken_in_place_of_text(admin_client, hostname):
    chain, key = pair(NAME)
    sent = {
        "chain_file": SimpleUploadedFile("c.pem", chain.encode()),
        "key_file": SimpleUploadedFile("k.pem", key.encode()),
    }
    assert admin_client.post(url(hostname, "upload_certificate"), sent).status_code == 302
    assert StoredCertificate.objects.get().key == key
    big = {"chain_file": SimpleUploadedFile("c.pem", b"x" * 200_000), "key": key}
    answer = admin_client.post(url(hostname, "upload_certificate"), big)
    assert answer.status_code == 422
    assert "too big" in answer.content.decode()


def test_a_pair_that_is_refused_changes_nothing_and_its_key_is_not_shown_again(admin_client, hostname):
    chain, key = pair("other.example.org")
    answer = upload(admin_client, hostname, chain, key)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "but for other.example.org" in text
    assert key.splitlines()[1] not in text
    assert chain.splitlines()[1] in text  # that one may be corrected
    assert not StoredCertificate.objects.exists()
    hostname.refresh_from_db()
    assert hostname.certificate_kind == "none"
    assert "Paste it" in upload(admin_client, hostname, chain, " ").content.decode()


def test_neither_trail_nor_difference_nor_page_has_the_key(admin_client, hostname, actor):
    chain, key = pair(NAME)
    upload(admin_client, hostname, chain, key)
    upload(admin_client, hostname, *pair(NAME))
    secret = key.splitlines()[1]
    seen = [str(row) for row in AuditEntry.objects.values_list("before", "after")]
    seen += [admin_client.get(path).content.decode() for path in (url(hostname), hostname.get_absolute_url())]
    other, key = pair(NAME, key=new_key(3))
    change = partial(store_certificate, actor, hostname, other, key)
    seen.append(str(foretell(change)))
    assert f"{hostname.pk}.key" in seen[-1]
    assert key.splitlines()[1] not in seen[-1]
    assert not [text for text in seen if secret in text]


def test_the_database_has_the_key_encrypted(admin_client, hostname):
    from django.db import connection

    upload(admin_client, hostname, *pair(NAME))
    with connection.cursor() as cursor:
        cursor.execute("select key from forwarding_storedcertificate")
        assert "PRIVATE" not in cursor.fetchone()[0]


def test_a_port_that_is_taken_is_told(admin_client, hostname, web, actor):
    other = web.hostname(domain="b.example.org", port=443)
    create_hostname(actor, other, web.to(web.web1))
    answer = upload(admin_client, hostname, *pair(NAME))
    assert answer.status_code == 422
    assert "443" in answer.content.decode()
    assert not StoredCertificate.objects.exists()


def test_a_changed_domain_is_served_without_a_certificate_for_the_old_one(admin_client, hostname, web, actor):
    upload(admin_client, hostname, *pair(NAME))
    now = HostnameForward.objects.get()
    now.domain = "new.example.org"
    change_hostname(actor, now, web.to(web.web1), version=now.version)
    assert not any("certificates" in path for path in files(now))
    assert standing(HostnameForward.objects.get()).level == "danger"
    assert "is for other names" in admin_client.get("/").content.decode()


def test_ordering_and_reading_are_for_their_kinds_alone(admin_client, hostname):
    for name in ("order_certificate", "read_certificate"):
        answer = admin_client.post(url(hostname, name), headers=JSON)
        assert answer.status_code == 409, name
    HostnameForward.objects.update(certificate_kind="acme")
    assert admin_client.post(url(hostname, "order_certificate"), headers=JSON).json()["ok"]
    job = Job.objects.get(work="forwarding.order_certificate")
    assert job.title in admin_client.get(url(hostname)).content.decode()
    HostnameForward.objects.update(active=False)
    assert "switched off" in str(admin_client.post(url(hostname, "order_certificate"), headers=JSON).json())
    HostnameForward.objects.update(certificate_kind="paths", certificate_path="/a.pem", key_path="/a.key")
    assert admin_client.post(url(hostname, "read_certificate"), headers=JSON).json()["ok"]


def test_owners_see_it_and_change_nothing(member_client, member, hostname, web):
    web.web1.owners.add(member)
    assert member_client.get(url(hostname)).status_code == 200
    assert member_client.get(url(hostname, "upload_certificate")).status_code == 403
    for name in ("upload_certificate", "order_certificate", "read_certificate"):
        assert member_client.post(url(hostname, name)).status_code == 403
    web.web1.owners.clear()
    assert member_client.get(url(hostname)).status_code == 404


def kept(hostname: HostnameForward, ends, **fields) -> None:
    HostnameForward.objects.filter(pk=hostname.pk).update(certificate_kind=fields.pop("kind", "uploaded"))
    StoredCertificate.objects.update_or_create(
        hostname=hostname,
        defaults={
            "source": "uploaded", "chain": "c", "key": "k", "names": [NAME], "issuer": "Test",
            "not_before": ends - 90 * DAY, "not_after": ends, "fingerprint": "f", **fields,
        },
    )  # fmt: skip


@pytest.mark.parametrize(("days", "level"), [(60, "ok"), (20, "warning"), (5, "danger"), (-1, "danger")])
def test_the_last_day_is_in_colour_on_page_list_and_dashboard(admin_client, hostname, days, level):
    ends = timezone.now() + timedelta(days=days, hours=1)
    kept(hostname, ends)
    shown = standing(HostnameForward.objects.get())
    assert shown.level == level
    listed = admin_client.get("/forwarding/hostnames/", headers=JSON).json()["rows"][0]["certificate"]
    assert listed["level"] == level
    home = admin_client.get("/").content.decode()
    assert shown.word in home
    assert bool(shown.sentence) == (level != "ok")
    assert shown.sentence in home
    assert shown.word in admin_client.get("/forwarding/hostnames/").content.decode()


def test_one_that_renews_itself_is_shown_only_when_that_is_overdue():
    now = timezone.now()
    for past, level in ((-1, "ok"), (9, "ok"), (11, "warning"), (21, "danger"), (31, "danger")):
        renew_at = now - past * DAY
        assert day_level(renew_at + 30 * DAY, renew_at) == level, past


def test_what_a_hostname_waits_for_is_said(admin_client, hostname):
    HostnameForward.objects.update(certificate_kind="uploaded")
    assert "waits for its certificate" in admin_client.get("/").content.decode()
    HostnameForward.objects.update(certificate_kind="acme")
    assert "being ordered" in admin_client.get("/forwarding/hostnames/").content.decode()
    CertificateOrder.objects.create(
        hostname=hostname, failures=3, trouble="no <b>such</b> name", failing_since=timezone.now(),
        tried_at=timezone.now(), next_try_at=timezone.now() + DAY,
    )  # fmt: skip
    page = admin_client.get(url(hostname)).content.decode()
    assert "no &lt;b&gt;such&lt;/b&gt; name" in page
    assert "3 tries" in page
    assert "gets no certificate" in admin_client.get("/").content.decode()


def test_a_reading_of_other_files_does_not_count(hostname):
    HostnameForward.objects.update(certificate_kind="paths", certificate_path="/a.pem", key_path="/a.key")
    CertificateReading.objects.create(
        hostname=hostname, certificate_path="/b.pem", key_path="/b.key", not_after=timezone.now()
    )
    assert standing(HostnameForward.objects.get()).word == "not read yet"
    CertificateReading.objects.update(certificate_path="/a.pem", trouble="It is gone.")
    assert standing(HostnameForward.objects.get()).sentence.endswith("It is gone.")


def test_the_list_is_sorted_by_the_last_day(admin_client, hostname, web, actor):
    now = timezone.now()
    kept(hostname, now + 50 * DAY)
    other = create_hostname(actor, web.hostname(domain="b.example.org"), web.to(web.web1))
    kept(other, now + 10 * DAY)
    rows = admin_client.get("/forwarding/hostnames/?sort=certificate", headers=JSON).json()["rows"]
    assert [row["domain"] for row in rows] == ["b.example.org", NAME]


def test_the_dashboard_asks_once_however_many_there_are(admin_client, hostname, web, actor):
    def kept_ones(numbers: range) -> None:
        for number in numbers:
            made = create_hostname(actor, web.hostname(domain=f"n{number}.example.org"), web.to(web.web1))
            kept(made, timezone.now() + DAY)

    def dashboard() -> tuple[int, str]:
        with CaptureQueriesContext(connection) as asked:
            page = admin_client.get("/").content.decode()
        return len(asked), page

    kept_ones(range(3))
    admin_client.get("/")
    few, _page = dashboard()
    kept_ones(range(3, 30))
    many, page = dashboard()
    assert many <= few
    assert "and 26 more" in page or "and 25 more" in page


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(chain=st.text(max_size=200), key=st.text(max_size=200))
def test_whatever_is_typed_becomes_no_file(db, chain, key):
    """What nginx gets is written anew from what was understood; nothing is copied."""
    from forwarding.pairs import BadPair, checked_pair

    good_chain, good_key = pair(NAME)
    form = UploadForm({"chain": f"{chain}\n{good_chain}\n{chain}", "key": f"{key}\n{good_key}{key}"})
    if not form.is_valid():
        assert any(hidden_in(text, lines=True) for text in (chain, key))
        return
    try:
        found = checked_pair(form.cleaned_data["chain"], form.cleaned_data["key"], NAME, timezone.now())
    except BadPair:
        return
    assert found.pair.chain.decode() == good_chain
    assert found.pair.key.decode() == good_key


def test_a_root_alone_is_no_certificate_for_a_name():
    from forwarding.pairs import BadPair, checked_pair

    with pytest.raises(BadPair, match="no domain"):
        checked_pair(text_of(authority()[0]), pem_of(new_key(100)), NAME, timezone.now())
