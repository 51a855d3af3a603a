"""Who may do what, in one place. Sign-in is asked for everywhere by the middleware; this says the rest.

There are three roles. An **admin** may do everything. An **owner** sees and operates the servers that are his, and
what hangs on them: rooms narrow their rows with `narrowed`. A **member** has his own profile and SSH keys. Owner
is nobody's flag: it is who owns a server. Streams ask the same questions as pages, and ask them again while they
run (`accounts.streams`).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from accounts.models import User

View = Callable[..., Any]
Rows = TypeVar("Rows", bound=QuerySet[Any])


def admin_required(view: View) -> View:
    """Only for admins; others get 403. Works for synchronous and asynchronous views."""
    if iscoroutinefunction(view):

        @wraps(view)
        async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            check_admin(await request.auser())
            return await view(request, *args, **kwargs)

        return guarded_async

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        check_admin(request.user)
        return view(request, *args, **kwargs)

    return guarded


def narrowed(rows: Rows, user: Any, own: Callable[[User], Q]) -> Rows:
    """All rows for an admin, those that `own` finds for anyone else who is signed in, none for a stranger."""
    if not user.is_authenticated:
        return rows.none()
    return rows if user.is_admin else rows.filter(own(user))


def for_people_only(request: HttpRequest) -> None:
    """Raises PermissionDenied for a program's token: how a person signs in is changed by that person."""
    if getattr(request, "api_token", None):
        raise PermissionDenied(_("Sign in with a browser to change how you sign in."))


def without_second_factor(view: View) -> View:
    """For what also those may use who must still set up a second factor."""
    view.without_second_factor = True  # type: ignore[attr-defined]  # read by the middleware
    return view


def is_allowed_without_second_factor(view: View) -> bool:
    """Whether it is marked so, or is for everybody."""
    return getattr(view, "without_second_factor", False) or not getattr(view, "login_required", True)


def user_of(request: HttpRequest) -> User:
    """The signed-in user, as this panel's own type."""
    if not isinstance(request.user, User):
        raise PermissionDenied(_("Sign in first."))
    return request.user


def check_admin(user: Any) -> None:
    """Raises PermissionDenied unless the user is an admin."""
    if not (user.is_authenticated and user.is_admin):
        raise PermissionDenied(_("Only an admin may do this."))
