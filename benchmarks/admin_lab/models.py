"""The tables of `benchmarks.lab`, as Django models."""

from __future__ import annotations

import datetime

from django.db import models

__all__ = ["Note", "Session", "Species", "Subject"]


def today() -> datetime.date:
    """Return the day that the form of a session begins with."""
    return datetime.datetime.now().astimezone().date()


class Species(models.Model):
    """What a subject can be."""

    species = models.CharField(max_length=32, primary_key=True)

    def __str__(self) -> str:
        return self.species


class Subject(models.Model):
    """An animal."""

    subject = models.CharField(max_length=16, primary_key=True)
    species = models.ForeignKey(Species, on_delete=models.PROTECT)
    sex = models.CharField(max_length=1, choices=[("M", "M"), ("F", "F"), ("U", "U")], default="U")
    birth = models.DateField(null=True, blank=True)
    weight = models.DecimalField(max_digits=5, decimal_places=2, null=True, blank=True)

    def __str__(self) -> str:
        return self.subject


class Session(models.Model):
    """A subject at work."""

    subject = models.ForeignKey(Subject, on_delete=models.PROTECT)
    session = models.PositiveSmallIntegerField()
    day = models.DateField(default=today)
    remark = models.CharField(max_length=200, blank=True)

    class Meta:
        """A key of two columns is a rule beside Django's own key."""

        constraints = (models.UniqueConstraint(fields=["subject", "session"], name="one_session"),)

    def __str__(self) -> str:
        return f"{self.subject_id} {self.session}"


class Note(models.Model):
    """What was seen in a session; Django numbers the rows itself."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE)
    text = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.text
