"""Who may do what, in one place. Sign-in is asked for everywhere by the middleware; this says the rest."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from accounts.models import User

View = Callable[..., Any]


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


def user_of(request: HttpRequest) -> User:
    """The signed-in user, as this panel's own type."""
    if not isinstance(request.user, User):
        raise PermissionDenied(_("Sign in first."))
    return request.user


def check_admin(user: Any) -> None:
    """Raises PermissionDenied unless the user is an admin."""
    if not (user.is_authenticated and user.is_admin):
        raise PermissionDenied(_("Only an admin may do this."))
