"""What Django's admin is told of the models: what its manual says to do for fast entry, and no more."""

from __future__ import annotations

from django.contrib import admin

from benchmarks.admin_lab.models import Note, Session, Species, Subject

__all__ = ["NoteInline", "SessionAdmin", "SpeciesAdmin", "SubjectAdmin", "TypedSessionAdmin", "typed_site"]


@admin.register(Species)
class SpeciesAdmin(admin.ModelAdmin):
    """Species."""

    search_fields = ("species",)


@admin.register(Subject)
class SubjectAdmin(admin.ModelAdmin):
    """Subjects, which a session finds by typing."""

    search_fields = ("subject",)
    autocomplete_fields = ("species",)


class NoteInline(admin.TabularInline):
    """The notes under a session, with an empty one to begin with."""

    model = Note
    extra = 1


@admin.register(Session)
class SessionAdmin(admin.ModelAdmin):
    """Sessions with their notes."""

    autocomplete_fields = ("subject",)
    inlines = (NoteInline,)


class TypedSessionAdmin(SessionAdmin):
    """Sessions whose subject is typed in full, and looked up nowhere before the row is saved."""

    autocomplete_fields = ()
    raw_id_fields = ("subject",)


typed_site = admin.AdminSite(name="typed")
typed_site.register(Subject, SubjectAdmin)
typed_site.register(Species, SpeciesAdmin)
typed_site.register(Session, TypedSessionAdmin)
