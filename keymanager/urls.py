"""URLs of the keymanager."""

app_name = "keymanager"
urlpatterns: list = []
