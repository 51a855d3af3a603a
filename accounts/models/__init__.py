"""The rows of accounts: one noun a file."""

from accounts.models.audit import AuditEntry
from accounts.models.second_factor import RecoveryCode, SecondFactor
from accounts.models.sessions import Session
from accounts.models.tokens import ApiToken, TokenUse, UseKind
from accounts.models.tries import Try
from accounts.models.users import User, UserManager

__all__ = [
    "ApiToken",
    "AuditEntry",
    "RecoveryCode",
    "SecondFactor",
    "Session",
    "TokenUse",
    "Try",
    "UseKind",
    "User",
    "UserManager",
]
