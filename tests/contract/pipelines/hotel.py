"""A hotel: what may happen, and in which order, is said by foreign keys alone."""

import datetime
import os
import random
from typing import Any

import datajoint as dj

schema = dj.Schema(os.environ["PIPELINE_PREFIX"] + "hotel")
# a clean start
schema.drop(prompt=False)
schema = dj.Schema(os.environ["PIPELINE_PREFIX"] + "hotel")
answers: dict[str, Any] = {}


@schema
class Room(dj.Lookup):
    definition = """
    # rooms
    room : int16                    # its number
    ---
    room_type : enum('Deluxe', 'Suite')
    """
    contents = tuple({"room": i, "room_type": "Suite" if i % 5 == 0 else "Deluxe"} for i in range(1, 11))


@schema
class RoomAvailable(dj.Manual):
    definition = """
    # when a room can be had, and for how much
    -> Room
    date : date
    ---
    price : decimal(6, 2)           # for one night
    """


@schema
class Guest(dj.Manual):
    definition = """
    # guests
    guest_id : int64
    ---
    guest_name : varchar(60)
    index(guest_name)
    """


@schema
class Reservation(dj.Manual):
    definition = """
    # one for each room and night
    -> RoomAvailable
    ---
    -> Guest
    credit_card : varchar(80)
    """


@schema
class CheckIn(dj.Manual):
    definition = """
    # needs a reservation
    -> Reservation
    """


@schema
class CheckOut(dj.Manual):
    definition = """
    # needs a check-in
    -> CheckIn
    """


dice = random.Random(1)
start = datetime.date(2026, 3, 2)
for day in range(10):
    night = start + datetime.timedelta(days=day)
    RoomAvailable.insert(
        {
            "room": room["room"],
            "date": night,
            "price": (200 if night.weekday() >= 5 else 150) + dice.randint(-30, 50) + 0.5,
        }
        for room in Room.to_dicts(order_by="KEY")
    )
answers["nights"] = len(RoomAvailable()), (RoomAvailable & {"room": 1}).to_dicts(order_by="KEY")


class HotelError(Exception):
    pass


class NotAvailableError(HotelError):
    pass


class AlreadyReservedError(HotelError):
    pass


class NoReservationError(HotelError):
    pass


class NotCheckedInError(HotelError):
    pass


class AlreadyProcessedError(HotelError):
    pass


def reserve_room(room: int, night: datetime.date, guest_name: str, credit_card: str) -> None:
    """Reserve a room, and write down the guest if they are new."""
    guests = list((Guest & {"guest_name": guest_name}).keys())
    if guests:
        guest = guests[0]
    else:
        guest = {"guest_id": dice.randint(1, 2**31)}
        Guest.insert1({**guest, "guest_name": guest_name})
    try:
        Reservation.insert1({"room": room, "date": night, **guest, "credit_card": credit_card})
    except dj.errors.DuplicateError:
        raise AlreadyReservedError(room) from None
    except dj.errors.IntegrityError:
        raise NotAvailableError(room) from None


def check_in(room: int, night: datetime.date) -> None:
    """Let a guest in."""
    try:
        CheckIn.insert1({"room": room, "date": night})
    except dj.errors.DuplicateError:
        raise AlreadyProcessedError(room) from None
    except dj.errors.IntegrityError:
        raise NoReservationError(room) from None


def check_out(room: int, night: datetime.date) -> None:
    """Let a guest out."""
    try:
        CheckOut.insert1({"room": room, "date": night})
    except dj.errors.DuplicateError:
        raise AlreadyProcessedError(room) from None
    except dj.errors.IntegrityError:
        raise NotCheckedInError(room) from None


def refused(action: Any, *arguments: Any) -> str:
    try:
        action(*arguments)
    except HotelError as error:
        return type(error).__name__
    return "nothing"


tomorrow = start + datetime.timedelta(days=1)
reserve_room(1, tomorrow, "Alice Smith", "4111-1111-1111-1111")
answers["reserved"] = (Reservation * Guest).proj("guest_name").to_dicts()
answers["twice"] = refused(reserve_room, 1, tomorrow, "Bob Jones", "5555")
answers["too far"] = refused(reserve_room, 1, tomorrow + datetime.timedelta(days=365), "Carol White", "6666")
answers["no such room"] = refused(reserve_room, 99, tomorrow, "Carol White", "6666")
answers["not reserved"] = refused(check_in, 2, tomorrow)
check_in(1, tomorrow)
answers["in twice"] = refused(check_in, 1, tomorrow)
reserve_room(3, tomorrow, "David O'Brown", "7777")
answers["out before in"] = refused(check_out, 3, tomorrow)
check_out(1, tomorrow)
answers["out twice"] = refused(check_out, 1, tomorrow)
for room, guest in ((5, "Alice Smith"), (10, "Erin Größe"), (7, "Bob Jones")):
    reserve_room(room, tomorrow, guest, "8888")
check_in(5, tomorrow)
check_in(7, tomorrow)

answers["guests"] = Guest.proj("guest_name").to_arrays("guest_name", order_by="guest_name").tolist()
available = (RoomAvailable & {"date": tomorrow}) - Reservation
answers["available"] = available.to_dicts(order_by="room")
answers["available by text"] = len((RoomAvailable & f"date = '{tomorrow}'") - Reservation)
inside = ((CheckIn - CheckOut) * Reservation * Guest).proj("guest_name")
answers["inside"] = inside.to_dicts(order_by="KEY")
answers["not yet come"] = (
    ((Reservation - CheckIn) * Guest).proj("guest_name", "room", "date").to_dicts(order_by="KEY")
)
answers["revenue"] = (
    dj.U("room_type")
    .aggr(Room * RoomAvailable * Reservation, total_revenue="SUM(price)", reservations="COUNT(*)")
    .to_dicts(order_by="room_type")
)
answers["dearest"] = (RoomAvailable & dj.Top(3, "price DESC, room, date")).to_dicts(
    order_by="price DESC, room, date"
)
answers["weekends"] = (RoomAvailable & "price > 200").proj(weekday="DAYOFWEEK(date)").to_dicts(order_by="KEY")

# all of it, or nothing of it
try:
    with schema.connection.transaction:
        reserve_room(8, tomorrow, "Frank Poe", "9999")
        check_out(8, tomorrow)
except HotelError as error:
    answers["in one transaction"] = type(error).__name__, len(Guest & {"guest_name": "Frank Poe"})
try:
    (Guest & {"guest_name": "Alice Smith"}).delete_quick()
except dj.errors.IntegrityError as error:
    answers["a guest with reservations"] = type(error).__name__
(Guest & {"guest_name": "Alice Smith"}).delete(prompt=False)
answers["without Alice"] = {
    table.__name__: len(table()) for table in (Guest, Reservation, CheckIn, CheckOut, RoomAvailable)
}
schema.drop(prompt=False)
answers["exists"] = schema.exists
