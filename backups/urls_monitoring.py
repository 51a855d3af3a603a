"""URLs for monitoring systems; those under zabbix/ are asked by templates that people have, and stay as they are."""

from django.urls import path

from backups.views import monitoring

urlpatterns = [
    path("health/", monitoring.health, name="health"),
    path("health", monitoring.health, name="health_bare"),  # a redirect would be taken for an answer
    path("zabbix/list/_", monitoring.zabbix_list, name="zabbix_list"),
    path("zabbix/last_hourly_duration/_", monitoring.zabbix_hourly_duration, name="zabbix_duration"),
    path("zabbix/last_<slug:measure>/<int:pk>", monitoring.zabbix_last, name="zabbix_last"),
    path("zabbix/state/<int:pk>", monitoring.zabbix_state, name="zabbix_state"),
    path("zabbix", monitoring.zabbix_other, name="zabbix_bare"),
    path("zabbix/", monitoring.zabbix_other, name="zabbix_nothing"),
    path("zabbix/<path:path>", monitoring.zabbix_other, name="zabbix_other"),
]
