"""Two-factor sign-in: time-based codes (TOTP, RFC 6238) and recovery codes.

API tokens are a factor of their own: a program sends one, and is asked for no code.
"""

import base64
import hashlib
import secrets
import time

import pyotp
import segno
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from accounts import audit, mailing, sessions
from accounts.actors import Actor
from accounts.models import RecoveryCode, SecondFactor, User
from accounts.services import NotAllowed

STEP = 30  # seconds
DRIFT = 1  # steps that a clock may be off, either way (RFC 6238, 5.2)
RECOVERY_CODES = 10
NONE, ADMINS, ALL = "none", "admins", "all"
CHOICES = (NONE, ADMINS, ALL)


def is_on(user: User) -> bool:
    """Whether this person is asked for a code at sign-in."""
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).exists()


def is_required(user: User) -> bool:
    """Whether REQUIRE_TWO_FACTOR concerns this person."""
    required = settings.REQUIRE_TWO_FACTOR
    return required == ALL or (required == ADMINS and user.is_admin)


def begin(user: User) -> SecondFactor:
    """A new secret for this person's authenticator. It counts once `confirm` got a code of it."""
    fresh = pyotp.random_base32()
    factor, _new = SecondFactor.objects.update_or_create(user=user, defaults={"next_secret": fresh})
    return factor


def address_of(factor: SecondFactor) -> str:
    """What the QR code says: otpauth://totp/…"""
    return pyotp.TOTP(factor.next_secret).provisioning_uri(name=factor.user.username, issuer_name=issuer())


def issuer() -> str:
    """The panel's name in an authenticator; people may have several panels."""
    return f"Gestion {settings.ALLOWED_HOSTS[0]}" if settings.ALLOWED_HOSTS else "Gestion"


def qr_code(factor: SecondFactor) -> str:
    """The QR code as a data: address of an SVG, for an img element; black on white, whatever the theme."""
    made = segno.make(address_of(factor), error="m", micro=False)
    return str(made.svg_data_uri(dark="#000", light="#fff", border=4, scale=5))


@transaction.atomic
def confirm(actor: Actor, user: User, code: str, *, keep_session: str | None) -> list[str]:
    """The first code of a new secret: from now on it counts. Ends the other sessions.

    Returns new recovery codes, which are kept nowhere. Raises NotAllowed for a wrong code.
    """
    factor = SecondFactor.objects.select_for_update().filter(user=user).first()
    step = _step_of(factor.next_secret, code) if factor and factor.next_secret else None
    if factor is None or step is None:
        raise NotAllowed(_("This is not the code that the authenticator shows now. Is its clock right?"))
    factor.secret, factor.next_secret = factor.next_secret, ""
    factor.confirmed_at, factor.last_step = timezone.now(), step
    factor.save()
    audit.record(actor, "second_factor.on", user)
    sessions.end_all(user, but=keep_session)
    mailing.tell(actor, user, "two_factor_on")
    return _fresh_codes(user)


def check_code(actor: Actor, user: User, typed: str) -> bool:
    """Whether this is the authenticator's code, not used before, or a recovery code, which is then used up."""
    plain = "".join(char for char in typed.upper() if char.isalnum())
    if len(plain) == 6 and plain.isdigit():
        return _take_step(user, plain)
    return _use_recovery_code(actor, user, plain)


def _take_step(user: User, code: str) -> bool:
    factor = SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).first()
    step = _step_of(factor.secret, code) if factor else None
    if step is None:
        return False
    # One statement: of two that come with the same code at the same moment, one gets in.
    rows = SecondFactor.objects.filter(user=user, last_step__lt=step)
    return rows.update(last_step=step) == 1


def _step_of(secret: str, code: str) -> int | None:
    """The step that this code belongs to, if it is now or next to it."""
    plain = "".join(code.split())
    now = int(time.time()) // STEP
    clock = pyotp.TOTP(secret)
    steps = range(now - DRIFT, now + DRIFT + 1)
    fitting = [step for step in steps if constant_time_compare(clock.at(step * STEP), plain)]
    return max(fitting, default=None)


@transaction.atomic
def _use_recovery_code(actor: Actor, user: User, plain: str) -> bool:
    rows = RecoveryCode.objects.filter(user=user, digest=_digest(plain), used_at__isnull=True)
    if not rows.update(used_at=timezone.now()):
        return False
    left = codes_left(user)
    audit.record(actor, "recovery_code.use", user, after={"codes_left": left})
    mailing.tell(actor, user, "recovery_code_used")
    return True


def codes_left(user: User) -> int:
    """How many recovery codes this person has not used."""
    return RecoveryCode.objects.filter(user=user, used_at__isnull=True).count()


@transaction.atomic
def renew_codes(actor: Actor, user: User) -> list[str]:
    """New recovery codes in the place of the old ones; kept nowhere. Raises NotAllowed where it is off."""
    if not is_on(user):
        raise NotAllowed(_("Two-factor sign-in is off."))
    audit.record(actor, "recovery_codes.renew", user)
    return _fresh_codes(user)


@transaction.atomic
def turn_off(actor: Actor, user: User, *, keep_session: str | None) -> None:
    """Ask this person for no code any more. Ends the other sessions. Raises NotAllowed where it is required."""
    if is_required(user):
        raise NotAllowed(
            _("This panel requires two-factor sign-in of you. You can move it to another device.")
        )
    if _remove(user):
        sessions.end_all(user, but=keep_session)
        audit.record(actor, "second_factor.off", user)
        mailing.tell(actor, user, "two_factor_off")


@transaction.atomic
def reset(actor: Actor, user: User) -> None:
    """An admin takes a person's lost second factor away. Ends that person's sessions; she is told by mail."""
    if actor.user is not None and actor.user.pk == user.pk:
        raise NotAllowed(
            _("You cannot reset your own; turn it off in your profile, which asks for the password.")
        )
    _remove(user)
    ended = sessions.end_all(user)
    audit.record(actor, "second_factor.reset", user, before={"sessions": ended})
    mailing.tell(actor, user, "two_factor_reset")


def _remove(user: User) -> int:
    RecoveryCode.objects.filter(user=user).delete()
    return SecondFactor.objects.filter(user=user).delete()[0]


def _fresh_codes(user: User) -> list[str]:
    """80 random bits each, so a fast hash is enough."""
    RecoveryCode.objects.filter(user=user).delete()
    codes = [base64.b32encode(secrets.token_bytes(10)).decode() for _number in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create([RecoveryCode(user=user, digest=_digest(code)) for code in codes])
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes]


def _digest(plain: str) -> str:
    return hashlib.sha256(f"recovery {plain}".encode()).hexdigest()
