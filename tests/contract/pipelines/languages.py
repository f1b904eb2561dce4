"""Languages and the people who speak them: two lookups, and a relation between many and many."""

import os
import random
from datetime import date, timedelta
from typing import Any

import datajoint as dj

schema = dj.Schema(os.environ["PIPELINE_PREFIX"] + "languages")
answers: dict[str, Any] = {}


@schema
class Language(dj.Lookup):
    definition = """
    # languages by their ISO 639-1 code
    lang_code : char(2)              # two letters
    ---
    language : varchar(30)           # name in English
    native_name : varchar(50)        # name in the language itself
    """
    contents = (
        ("ar", "Arabic", "العربية"),
        ("de", "German", "Deutsch"),
        ("en", "English", "English"),
        ("es", "Spanish", "Español"),
        ("hi", "Hindi", "हिन्दी"),
        ("ja", "Japanese", "日本語"),
        ("uk", "Ukrainian", "Українська"),
    )


@schema
class CEFRLevel(dj.Lookup):
    definition = """
    # levels of proficiency
    cefr_level : char(2)            # A1, A2, B1, B2, C1, C2
    ---
    level_name : varchar(20)
    category : enum('Basic', 'Independent', 'Proficient')
    """
    contents = (
        ("A1", "Beginner", "Basic"),
        ("A2", "Elementary", "Basic"),
        ("B1", "Intermediate", "Independent"),
        ("B2", "Upper Intermediate", "Independent"),
        ("C1", "Advanced", "Proficient"),
        ("C2", "Mastery", "Proficient"),
    )


@schema
class Person(dj.Manual):
    definition = """
    # people who speak languages
    person_id : int32
    ---
    name : varchar(60)
    date_of_birth : date
    """


@schema
class Proficiency(dj.Manual):
    definition = """
    # who speaks what, and how well
    -> Person
    -> Language
    ---
    -> CEFRLevel
    """


# ------------------------------------------------------------------ filling
dice = random.Random(7)
Person.insert(
    {
        "person_id": i,
        "name": f"{dice.choice(['Ada', 'Jun', 'Åse', 'Olga'])} {dice.choice(['Stone', 'Mori', 'Łukasik'])} {i}",
        "date_of_birth": date(1956, 1, 1) + timedelta(days=dice.randrange(18_000)),
    }
    for i in range(60)
)
languages = Language.keys(order_by="KEY")
levels = CEFRLevel.keys(order_by="KEY")
for person in Person.keys(order_by="KEY"):
    Proficiency.insert(
        {**person, **language, **dice.choice(levels)}
        for language in dice.sample(languages, dice.randint(0, 5))
    )
answers["sizes"] = len(Person()), len(Proficiency()), len(Language()), len(CEFRLevel())
answers["languages"] = Language.to_dicts(order_by="KEY")
# filling a lookup again changes nothing
Language.insert(Language.contents, skip_duplicates=True)
answers["languages again"] = len(Language())

# ------------------------------------------------------------------ asking
answers["proficient in English"] = (
    Person.proj("name") & (Proficiency & {"lang_code": "en"} & "cefr_level >= 'C1'")
).to_dicts(order_by="KEY")
answers["English and Spanish"] = (
    Person.proj("name") & (Proficiency & {"lang_code": "en"}) & (Proficiency & {"lang_code": "es"})
).to_dicts(order_by="KEY")
answers["English or Spanish"] = (Person.proj("name") & (Proficiency & "lang_code in ('en', 'es')")).keys(
    order_by="KEY"
)
answers["English but not Spanish"] = (
    (Person & (Proficiency & {"lang_code": "en"})) - (Proficiency & {"lang_code": "es"})
).keys(order_by="KEY")
polyglots = (
    Person.aggr(Proficiency, "name", n_languages="COUNT(lang_code)", languages="GROUP_CONCAT(lang_code)")
    & "n_languages >= 4"
)
answers["polyglots"] = [
    {**row, "languages": sorted(row["languages"].split(","))} for row in polyglots.to_dicts(order_by="KEY")
]
top = Person.aggr(Proficiency, "name", n_languages="COUNT(lang_code)") & dj.Top(
    5, order_by=["n_languages DESC", "person_id"]
)
answers["top five"] = top.to_dicts(order_by=["n_languages DESC", "person_id"])
answers["speakers"] = Language.aggr(Proficiency, "language", n_speakers="COUNT(person_id)").to_dicts(
    order_by="KEY"
)
answers["levels of English"] = CEFRLevel.aggr(
    Proficiency & {"lang_code": "en"}, "level_name", n_speakers="COUNT(person_id)"
).to_dicts(order_by="KEY")
profile = (Person * Proficiency * Language * CEFRLevel).proj("name", "language", "level_name", "category")
answers["profile"] = (profile & {"person_id": 3}).to_dicts(order_by="KEY")
answers["advanced in several"] = (
    Person.aggr(Proficiency & "cefr_level >= 'C1'", "name", n_advanced="COUNT(*)") & "n_advanced >= 2"
).to_dicts(order_by="KEY")
answers["no language at all"] = (Person - Proficiency).keys(order_by="KEY")
answers["by native name"] = (Language & {"native_name": "日本語"}).fetch1("lang_code")
answers["people of each category"] = (
    dj.U("category")
    .aggr(Proficiency * CEFRLevel, n="COUNT(DISTINCT person_id)")
    .to_dicts(order_by="category")
)
answers["oldest"] = dj.U().aggr(Person, oldest="MIN(date_of_birth)").fetch1("oldest")
answers["pairs"] = len(
    Proficiency.proj(other="person_id") * Proficiency.proj(someone="person_id") & "someone < other"
)

# ------------------------------------------------------------------ looking
answers["definition"] = Proficiency.describe().replace("\n", " ").split("--")[0].count("->")
answers["parents"] = len(Proficiency.parents()), len(Proficiency.parents(primary=True))
answers["children"] = len(Person.children()), len(CEFRLevel.children(primary=False))
answers["tables"] = sorted(schema.list_tables())
# a level in use cannot be deleted on its own, but goes with what depends on it
(CEFRLevel & {"cefr_level": "A1"}).delete(prompt=False)
answers["after deletion"] = len(Proficiency()), len(CEFRLevel()), len(Person())
virtual = dj.VirtualModule("languages", schema.database)
answers["by virtual schema"] = len(virtual.Person * virtual.Proficiency)
