"""A university: students, courses, grades, and the questions one asks of them.

The pipeline is one of four in the spirit of DataJoint's public tutorials. Each is run with DataJoint as it
stands here, and with `dj_panel` after changing the import; `answers` must be the same.
"""

import os
import random
from datetime import date, timedelta
from typing import Any

import datajoint as dj

schema = dj.Schema(os.environ["PIPELINE_PREFIX"] + "university")
answers: dict[str, Any] = {}


@schema
class Student(dj.Manual):
    definition = """
    student_id : int64           # university-wide number
    ---
    first_name : varchar(40)
    last_name : varchar(40)
    sex : enum('F', 'M', 'U')
    date_of_birth : date
    home_city : varchar(60)
    home_state : char(2)         # two-letter code
    """


@schema
class Department(dj.Manual):
    definition = """
    dept : varchar(6)   # e.g. BIOL, CS, MATH
    ---
    dept_name : varchar(200)
    """


@schema
class StudentMajor(dj.Manual):
    definition = """
    -> Student
    ---
    -> Department
    declare_date : date
    """


@schema
class Course(dj.Manual):
    definition = """
    -> Department
    course : int16               # course number, e.g. 1010
    ---
    course_name : varchar(200)
    credits : decimal(3,1)
    """


@schema
class Term(dj.Manual):
    definition = """
    term_year : int16
    term : enum('Spring', 'Summer', 'Fall')
    """


@schema
class Section(dj.Manual):
    definition = """
    -> Course
    -> Term
    section : char(1)
    ---
    auditorium : varchar(12)
    """


@schema
class CurrentTerm(dj.Manual):
    definition = """
    omega = 0 : int8
    ---
    -> Term
    """


@schema
class Enroll(dj.Manual):
    definition = """
    -> Student
    -> Section
    """


@schema
class LetterGrade(dj.Lookup):
    definition = """
    grade : char(2)
    ---
    points = null : decimal(3,2)
    """
    contents = (
        ["A", 4.00],
        ["A-", 3.67],
        ["B+", 3.33],
        ["B", 3.00],
        ["B-", 2.67],
        ["C", 2.00],
        ["D", 1.00],
        ["F", 0.00],
    )


@schema
class Grade(dj.Manual):
    definition = """
    -> Enroll
    ---
    -> LetterGrade
    """


# ------------------------------------------------------------------ filling
dice = random.Random(42)
first = {"F": ["Ana", "Bea", "Chloé", "Dora", "Eva"], "M": ["Ali", "Ben", "Carl", "Dan", "Émile"]}
last = ["Ito", "Jones", "Klein", "López", "O'Neil"]


def students(number: int) -> Any:
    for student_id in range(1000, 1000 + number):
        sex = dice.choice("FM")
        yield {
            "student_id": student_id,
            "first_name": dice.choice(first[sex]),
            "last_name": dice.choice(last),
            "sex": sex,
            "date_of_birth": date(1995, 1, 1) + timedelta(days=dice.randrange(4000)),
            "home_city": dice.choice(["Austin", "Boise", "Fresno"]),
            "home_state": dice.choice(["CA", "TX", "NY", "UT"]),
        }


Student.insert(students(40))
Department.insert(
    [
        {"dept": "CS", "dept_name": "Computer Science"},
        {"dept": "BIOL", "dept_name": "Life Sciences"},
        {"dept": "MATH", "dept_name": "Mathematics"},
    ]
)
StudentMajor.insert(
    {
        **student,
        **dice.choice(sorted(Department.keys(), key=str)),
        "declare_date": date(2022, 1, 1) + timedelta(days=dice.randrange(900)),
    }
    for student in Student.keys(order_by="student_id")
    if dice.random() < 0.75
)
Course.insert(
    [
        ["BIOL", 1010, "Biology in the 21st Century", 3],
        ["BIOL", 2325, "Human Anatomy", 4],
        ["MATH", 1210, "Calculus I", 4],
        ["MATH", 2270, "Linear Algebra", 4],
        ["CS", 1410, "Intro to Programming", 4],
        ["CS", 2420, "Data Structures & Algorithms", 4.5],
    ]
)
Term.insert(
    {"term_year": year, "term": term} for year in (2023, 2024) for term in ("Spring", "Summer", "Fall")
)
CurrentTerm.insert1({"term_year": 2024, "term": "Fall"})
for course in Course.keys(order_by="KEY"):
    Section.insert(
        {**course, **term, "section": letter, "auditorium": f"{dice.choice('ABC')}{dice.randint(100, 400)}"}
        for term in Term.keys(order_by="KEY")
        for letter in "ab"[: dice.randint(1, 2)]
    )
sections = {
    (term["term_year"], term["term"]): (Section & term).keys(order_by="KEY") for term in Term.to_dicts()
}
for student in Student.keys(order_by="KEY"):
    Enroll.insert(
        (
            {**student, **section}
            for term in sorted(sections)
            for section in dice.sample(sections[term], k=dice.randint(0, 2))
        ),
        skip_duplicates=True,
    )
letters = list(LetterGrade.to_arrays("grade", order_by="points DESC"))
Grade.insert(
    {**enrolled, "grade": dice.choice(letters)}
    for enrolled in Enroll.keys(order_by="KEY")
    if dice.random() < 0.9
)
answers["sizes"] = {
    table.__name__: len(table()) for table in (Student, StudentMajor, Section, Enroll, Grade, LetterGrade)
}

# ------------------------------------------------------------------ restricting
answers["from California"] = (Student & {"home_state": "CA"}).to_dicts(order_by="KEY")
answers["women not from California"] = ((Student & {"sex": "F"}) - {"home_state": "CA"}).to_dicts(
    order_by="KEY"
)
answers["states by text"] = len(Student & "home_state IN ('CA', 'TX', 'NY')")
answers["states by list"] = len(Student & [{"home_state": "CA"}, {"home_state": "TX"}])
answers["names and places"] = len(Student & "first_name LIKE 'A%' AND home_city != 'Boise'")
answers["majoring in CS"] = (Student & (StudentMajor & {"dept": "CS"})).keys(order_by="KEY")
answers["no mathematics"] = (Student - (Enroll & {"dept": "MATH"})).keys(order_by="KEY")
answers["ungraded"] = (Student & (Enroll - Grade)).keys(order_by="KEY")
answers["never worse than B"] = ((Student & Grade) - (Grade & 'grade > "B"')).keys(order_by="KEY")
answers["everything of nothing"] = len(Student & [])
answers["born in 1999"] = len(Student & 'date_of_birth BETWEEN "1999-01-01" AND "1999-12-31"')
answers["this term"] = (Enroll & CurrentTerm).keys(order_by="KEY")

# ------------------------------------------------------------------ projecting
answers["names"] = Student.proj("first_name", "last_name").to_dicts(order_by="KEY", limit=5)
answers["full names"] = Student.proj(full_name="CONCAT(first_name, ' ', last_name)").to_dicts(order_by="KEY")
answers["age when starting"] = Student.proj(
    "first_name", age="TIMESTAMPDIFF(YEAR, date_of_birth, '2024-09-01')"
).to_dicts(order_by="age DESC, student_id", limit=7)
answers["all but one"] = list(Student.proj(..., "-date_of_birth").heading.names)
answers["renamed"] = Student.proj("first_name", family_name="last_name").to_dicts(order_by="KEY", limit=3)
answers["key renamed"] = (StudentMajor.proj("dept", who="student_id")).to_dicts(order_by="who", limit=3)

# ------------------------------------------------------------------ unique values
answers["first names"] = sorted((dj.U("first_name") & Student).to_arrays("first_name").tolist())
answers["states of the enrolled"] = (dj.U("home_state") & (Student & Enroll)).keys(order_by="home_state")
answers["birth years in CS"] = (
    dj.U("birth_year") & (Student.proj(birth_year="YEAR(date_of_birth)") & (Enroll & {"dept": "CS"}))
).to_arrays("birth_year", order_by="birth_year")

# ------------------------------------------------------------------ joining
answers["majors"] = (Student.proj("first_name", "last_name") * StudentMajor).to_dicts(order_by="KEY")
answers["courses"] = (Course * Department.proj("dept_name")).to_dicts(order_by="KEY")
answers["with or without major"] = (
    Student.proj("first_name", "last_name").join(StudentMajor, left=True).to_dicts(order_by="KEY")
)
transcript = Student.proj("first_name", "last_name") * Grade * Course.proj("course_name", "credits")
answers["transcript"] = transcript.to_dicts(order_by="KEY", limit=10)
answers["heading of the transcript"] = (list(transcript.heading.names), list(transcript.primary_key))

# ------------------------------------------------------------------ aggregating
answers["students per department"] = Department.aggr(StudentMajor, n_students="COUNT(student_id)").to_dicts(
    order_by="KEY"
)
answers["by sex"] = Department.aggr(
    StudentMajor * Student, n_female="SUM(sex='F')", n_male="SUM(sex='M')"
).to_dicts(order_by="KEY")
answers["enrolled per course"] = Course.aggr(Enroll, ..., n_enrolled="COUNT(*)").to_dicts(order_by="KEY")
answers["average grade"] = Course.aggr(
    Grade * LetterGrade, "course_name", avg_gpa="AVG(points)", n_grades="COUNT(*)"
).to_dicts(order_by="KEY")
gpa = Student.aggr(
    Grade * LetterGrade * Course,
    "first_name",
    "last_name",
    total_credits="SUM(credits)",
    gpa="SUM(points * credits) / SUM(credits)",
)
answers["grade point average"] = gpa.to_dicts(order_by="KEY")
answers["top five"] = (gpa & "total_credits >= 12" & dj.Top(5, order_by="gpa DESC, student_id")).to_dicts(
    order_by="gpa DESC, student_id"
)
answers["in all departments"] = (
    Student - (Student.proj() * Department - Enroll.proj("student_id", "dept"))
).keys(order_by="KEY")
per_course = Course.aggr(Enroll, ..., n="COUNT(*)")
most = Department.aggr(per_course, max_n="MAX(n)")
answers["most popular"] = (per_course * most & "n = max_n").to_dicts(order_by="KEY")
answers["distribution"] = (LetterGrade.aggr(Grade, ..., count="COUNT(student_id)") & "count > 0").to_dicts(
    order_by="points DESC"
)
answers["overall"] = dj.U().aggr(Grade * LetterGrade, n="COUNT(*)", best="MAX(points)").fetch1()

# ------------------------------------------------------------------ fetching
data = (Student & {"home_state": "CA"}).to_arrays(order_by="KEY")
answers["records"] = (data.dtype.names, data["student_id"].tolist(), data["last_name"].tolist())
names = (Student & {"home_state": "CA"}).to_arrays("first_name", "last_name", order_by="KEY")
answers["two arrays"] = [array.tolist() for array in names]
keys, ages = Student.to_arrays("date_of_birth", include_key=True, order_by="KEY", limit=3)
answers["with keys"] = (keys, ages.tolist())
answers["one student"] = (Student & {"student_id": 1000}).fetch1()
answers["one name"] = (Student & {"student_id": 1000}).fetch1("first_name", "KEY")
frame = (gpa & "total_credits >= 12").to_pandas().sort_values(["gpa", "last_name"], ascending=False)
answers["frame"] = (list(frame.index.names), list(frame.columns), len(frame))
answers["head"] = len(Student.head(7)), len(Student.tail(3))
answers["is in"] = {"student_id": 1000} in Student(), {"student_id": 1} in Student()

# ------------------------------------------------------------------ changing
Student.update1({"student_id": 1000, "home_city": "Ogden"})
answers["moved"] = (Student & {"student_id": 1000}).fetch1("home_city")
(Grade & {"student_id": 1001}).delete(prompt=False)
(Student & {"student_id": 1002}).delete(prompt=False)
answers["left"] = {table.__name__: len(table()) for table in (Student, StudentMajor, Enroll, Grade)}
