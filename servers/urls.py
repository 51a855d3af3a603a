"""URLs of servers."""

app_name = "servers"
urlpatterns: list = []
