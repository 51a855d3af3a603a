"""URLs of forwarded ports."""

urlpatterns: list = []
