"""URLs of forwarded ports."""

from django.urls import path

from forwarding.views import ports

urlpatterns = [
    path("ports/", ports.port_list, name="ports"),
    path("ports/new/", ports.new, name="new_port"),
    path("ports/<int:pk>/", ports.port, name="port"),
    path("ports/<int:pk>/edit/", ports.edit, name="edit_port"),
    path("ports/<int:pk>/switch/", ports.switch, name="switch_port"),
    path("ports/<int:pk>/delete/", ports.delete, name="delete_port"),
    path("ports/<int:pk>/answers/", ports.ask, name="ask_port"),
    path("hosts/<int:pk>/ports/read/", ports.read, name="read_ports"),
]
