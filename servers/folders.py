"""Which folder of a server lies in which."""


def inside(folder: str, other: str) -> bool:
    """Whether `folder` is `other` or lies below it; both in their shortest form."""
    return other in {"/", folder} or folder.startswith(other + "/")


def overlap(folder: str, other: str) -> bool:
    """Whether one of two folders is the other or lies below it; both in their shortest form."""
    return inside(folder, other) or inside(other, folder)
