"""The rules of who may do what, each by itself; that every view has one is tested in tests/gestion."""

import asyncio

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from accounts.models import User
from accounts.permissions import (
    admin_required,
    check_admin,
    for_people_only,
    is_allowed_without_second_factor,
    narrowed,
    user_of,
    without_second_factor,
)


def request_of(user: object) -> HttpRequest:
    """A request that this user makes."""
    request = HttpRequest()
    request.user = user  # type: ignore[assignment]

    async def asked() -> object:
        return user

    request.auser = asked  # type: ignore[assignment]
    return request


def view(request: HttpRequest, number: int, *, word: str) -> HttpResponse:
    """A view that says what it was called with."""
    return HttpResponse(f"{number} {word}")


async def async_view(request: HttpRequest, number: int, *, word: str) -> HttpResponse:
    """The same for streams."""
    return HttpResponse(f"{number} {word}")


def test_an_admin_comes_in_with_all_that_the_address_says(admin):
    assert admin_required(view)(request_of(admin), 1, word="a").content == b"1 a"
    assert asyncio.run(admin_required(async_view)(request_of(admin), 1, word="a")).content == b"1 a"


@pytest.mark.parametrize("who", ["member", "nobody"])
def test_no_other_comes_in(member, who):
    user = member if who == "member" else AnonymousUser()
    with pytest.raises(PermissionDenied):
        admin_required(view)(request_of(user), 1, word="a")
    with pytest.raises(PermissionDenied):
        asyncio.run(admin_required(async_view)(request_of(user), 1, word="a"))
    with pytest.raises(PermissionDenied):
        check_admin(user)


def test_a_guarded_view_is_still_called_what_it_was():
    assert admin_required(view).__name__ == "view"
    assert admin_required(async_view).__name__ == "async_view"


def test_an_admin_sees_all_rows_an_owner_his_own_and_a_stranger_none(admin, member):
    def own(user: User) -> Q:
        return Q(pk=user.pk)

    rows = User.objects.order_by("pk")
    assert list(narrowed(rows, admin, own)) == [admin, member]
    assert list(narrowed(rows, member, own)) == [member]
    assert list(narrowed(rows, AnonymousUser(), own)) == []


def test_a_programs_token_does_not_change_how_a_person_signs_in(member):
    request = request_of(member)
    for_people_only(request)
    request.api_token = None  # type: ignore[attr-defined]
    for_people_only(request)
    request.api_token = object()  # type: ignore[attr-defined]
    with pytest.raises(PermissionDenied):
        for_people_only(request)


def test_only_a_marked_view_and_one_for_everybody_are_allowed_without_a_second_factor():
    def plain(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    def public(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    public.login_required = False  # type: ignore[attr-defined]
    assert not is_allowed_without_second_factor(plain)
    assert is_allowed_without_second_factor(public)
    assert without_second_factor(plain) is plain
    assert is_allowed_without_second_factor(plain)


def test_a_view_gets_the_panels_own_user_or_nothing(member):
    assert user_of(request_of(member)) is member
    with pytest.raises(PermissionDenied):
        user_of(request_of(AnonymousUser()))
