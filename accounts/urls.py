"""URLs of accounts; at the root of the panel."""

from django.urls import path

from accounts.views import audit, profile, sign_in, users

app_name = "accounts"
urlpatterns = [
    path("sign-in/", sign_in.sign_in, name="sign_in"),
    path("sign-out/", sign_in.sign_out, name="sign_out"),
    path("setup/", sign_in.setup, name="setup"),
    path("theme/", sign_in.theme, name="theme"),
    path("profile/", profile.profile, name="profile"),
    path("profile/password/", profile.password, name="password"),
    path("tokens/", profile.tokens, name="tokens"),
    path("tokens/new/", profile.new_token, name="new_token"),
    path("tokens/<int:pk>/revoke/", profile.revoke_token, name="revoke_token"),
    path("users/", users.users, name="users"),
    path("users/new/", users.new_user, name="new_user"),
    path("users/<int:pk>/", users.user, name="user"),
    path("users/<int:pk>/edit/", users.edit_user, name="edit_user"),
    path("users/<int:pk>/password/", users.set_password, name="set_password"),
    path("users/<int:pk>/delete/", users.delete_user, name="delete_user"),
    path("audit/", audit.audit, name="audit"),
]
