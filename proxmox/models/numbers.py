"""Numbers over time: a small history of what hosts and their guests used."""

from django.db import models

from servers.models import Server

EVERY_SECONDS = 300
KEEP_HOURS = 24


class Numbers(models.Model):
    """What a host and its guests used in one span of five minutes, in thousandths.

    `guests` is {"101": [processor, memory]}. One row a host and span, instead of one a guest, keeps writing
    cheap: with 100 guests a day of it is 288 rows of 2 KB.
    """

    host = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+")
    span = models.PositiveBigIntegerField()  # Unix time divided by EVERY_SECONDS
    cpu = models.PositiveSmallIntegerField(null=True)
    memory = models.PositiveSmallIntegerField(null=True)
    guests = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "span"], name="numbers_once_a_span")]

    def __str__(self) -> str:
        return f"{self.host_id} {self.span}"
