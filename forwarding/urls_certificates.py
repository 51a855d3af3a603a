"""URLs of hostnames' certificates."""

from django.urls import path

from forwarding.views import certificates

urlpatterns = [
    path("hostnames/<int:pk>/certificate/", certificates.certificate, name="certificate"),
    path("hostnames/<int:pk>/certificate/upload/", certificates.upload, name="upload_certificate"),
    path("hostnames/<int:pk>/certificate/order/", certificates.order, name="order_certificate"),
    path("hostnames/<int:pk>/certificate/read/", certificates.read, name="read_certificate"),
]
