"""Who and what is recorded: sources, species, people, subjects."""

# A table is documented by its definition, and make by its table.
# ruff: noqa: D101

from __future__ import annotations

import dj_panel as dj
from dj_panel.demo.lab import schema_name
from dj_panel.demo.sources import SOURCES

schema = dj.Schema(schema_name("subject"))


@schema
class Species(dj.Lookup):
    definition = """
    # Species of the subjects
    species        : varchar(24)   # common name
    ---
    latin_name     : varchar(48)   # scientific name
    ncbi_taxon=null : int32        # taxon in the NCBI taxonomy
    """
    contents = (
        {"species": "locust", "latin_name": "Locusta migratoria", "ncbi_taxon": 7004},
        {"species": "human", "latin_name": "Homo sapiens", "ncbi_taxon": 9606},
        {"species": "not stated", "latin_name": "", "ncbi_taxon": None},
    )


@schema
class Source(dj.Lookup):
    definition = """
    # Where the real recordings come from
    source         : varchar(32)   # short name
    ---
    title          : varchar(120)  # what was recorded
    package        : varchar(32)   # PyPI package that carries the files
    license        : varchar(160)  # terms of the files
    citation       : varchar(500)  # whom to cite
    url            : varchar(200)  # where it is described
    known          : varchar(600)  # what the source does and does not say about the recording
    """
    contents = SOURCES


@schema
class Experimenter(dj.Manual):
    definition = """
    # People who record (names invented for the demo)
    experimenter   : varchar(16)   # short name
    ---
    full_name      : varchar(64)   # as it should appear on reports
    position       : enum('technician', 'student', 'scientist', 'head of lab')  # in the lab
    is_active=1    : bool          # still here
    index (full_name)
    """


@schema
class Subject(dj.Manual):
    definition = """
    # Animals, volunteers and samples (identities invented for the demo)
    subject_id     : varchar(12)   # for example LM-01
    ---
    -> Species
    sex='unknown'  : enum('female', 'male', 'unknown')
    arrived_on=null : date         # first day in the lab (invented)
    subject_uuid=null : uuid       # identifier used outside the lab
    tag=null       : varchar(24)   # number on the cage, vial or slide (invented)
    subject_notes='' : varchar(400)  # anything worth knowing
    unique index (tag)
    """


@schema
class Consent(dj.Manual):
    definition = """
    # Signed consent of volunteers, one each (invented for the demo)
    consent_number : int32         # number of the form
    ---
    -> [unique] Subject
    signed_on      : date          # (invented)
    share_data=1   : bool          # may the data be shared
    """


@schema
class Weighing(dj.Manual):
    definition = """
    # Body weight of the animals (all weights invented for the demo)
    -> Subject
    weighed_at     : datetime      # when, in the lab's time
    ---
    weight         : decimal(7,3)  # (g)
    -> [nullable] Experimenter.proj(weighed_by="experimenter")
    condition='good' : enum('good', 'fair', 'poor')  # general condition
    """
