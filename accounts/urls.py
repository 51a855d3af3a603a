"""URLs of accounts; at the root of the panel."""

from django.urls import path

from accounts.views import (
    audit,
    leaving,
    password_links,
    profile,
    second_factor,
    sessions,
    sign_in,
    tokens,
    users,
)

app_name = "accounts"
urlpatterns = [
    path("sign-in/", sign_in.sign_in, name="sign_in"),
    path("sign-in/code/", sign_in.sign_in_code, name="sign_in_code"),
    path("sign-in/forgotten/", password_links.forgotten, name="forgotten"),
    path("password/<str:name>/<str:token>/", password_links.new_password, name="new_password"),
    path("sign-out/", sign_in.sign_out, name="sign_out"),
    path("setup/", sign_in.setup, name="setup"),
    path("theme/", sign_in.theme, name="theme"),
    path("profile/", profile.profile, name="profile"),
    path("profile/password/", profile.password, name="password"),
    path("profile/two-factor/", second_factor.two_factor, name="two_factor"),
    path("profile/two-factor/confirm/", second_factor.confirm, name="two_factor_confirm"),
    path("profile/two-factor/codes/", second_factor.recovery_codes, name="recovery_codes"),
    path("profile/two-factor/off/", second_factor.turn_off, name="two_factor_off"),
    path("profile/sessions/", sessions.sessions, name="sessions"),
    path("profile/sessions/end/", sessions.end_others, name="end_other_sessions"),
    path("profile/sessions/<str:number>/end/", sessions.end_session, name="end_session"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/new/", tokens.new_token, name="new_token"),
    path("tokens/<int:pk>/", tokens.token, name="token"),
    path("tokens/<int:pk>/revoke/", tokens.revoke_token, name="revoke_token"),
    path("users/", users.users, name="users"),
    path("users/new/", users.new_user, name="new_user"),
    path("users/<int:pk>/", users.user, name="user"),
    path("users/<int:pk>/edit/", users.edit_user, name="edit_user"),
    path("users/<int:pk>/password/", users.set_password, name="set_password"),
    path("users/<int:pk>/send-link/", password_links.send_link, name="send_link"),
    path("users/<int:pk>/two-factor/reset/", second_factor.reset, name="reset_two_factor"),
    path("users/<int:pk>/sessions/end/", sessions.end_all_of, name="end_sessions"),
    path("users/<int:pk>/offboard/", leaving.offboard, name="offboard"),
    path("users/<int:pk>/delete/", users.delete_user, name="delete_user"),
    path("audit/", audit.audit, name="audit"),
    path("audit/download/", audit.download, name="audit_download"),
]
