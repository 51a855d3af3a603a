"""URLs of forwarding, by noun."""

from forwarding import urls_certificates, urls_hostnames, urls_ports

app_name = "forwarding"
urlpatterns = [*urls_ports.urlpatterns, *urls_hostnames.urlpatterns, *urls_certificates.urlpatterns]
