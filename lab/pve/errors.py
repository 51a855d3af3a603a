"""What the API refuses, each with the status and the words Proxmox gives."""


class ApiError(Exception):
    """A refusal: its HTTP status and its message, which travels as the reason phrase."""

    status = 500

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status or self.status


class BadParameters(ApiError):  # noqa: N818 (as Proxmox speaks of it)
    """400 with a map from parameter to what is wrong with it."""

    status = 400

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("Parameter verification failed.\n")
        self.errors = errors


class BadFormat(ApiError):  # noqa: N818 (as Proxmox speaks of it)
    """500 with the same map, for a property string of the configuration that cannot be read."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("format error\n")
        self.errors = errors


class Forbidden(ApiError):  # noqa: N818 (HTTP's own word)
    """403, naming the path and the privileges that are missing, or nothing at all."""

    status = 403

    def __init__(self, what: str = "") -> None:
        super().__init__(f"Permission check failed ({what})\n" if what else "Permission check failed\n")


class Unauthenticated(ApiError):  # noqa: N818 (HTTP's own word)
    """401 with an empty body, as Proxmox gives it before any call is looked at, and only after a while."""

    status = 401


class TaskError(Exception):
    """A task ends with this as its exit status."""


def died(message: str) -> ApiError:
    """Return the 500 of a handler that gave up."""
    return ApiError(f"{message}\n")
