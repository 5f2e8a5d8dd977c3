"""What can happen to customers on both sides at once, as a script of names and small numbers.

Every value that somebody types is unlike every other, so that in the end each
can be asked after: is it still shown somewhere, was it typed over, or is it kept
as what lost? Everybody bears a work phone that nobody ever edits: by it a record
tells who it is, whatever became of its name, its id and its links.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from contextlib import ExitStack
from datetime import date, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from closed import ClosedWorld
from life import FAULTS, Life
from world import contact_of

from tillbridge.engine.compare import seen_of
from tillbridge.engine.mapping import ways_of
from tillbridge.engine.sync import sync
from tillbridge.model.customer import region_of
from tillbridge.model.errors import CredentialsRefused
from tillbridge.model.reading import Query
from tillbridge.simulators.httpd import Fault
from tillbridge.simulators.lightspeed.errors import Refused
from tillbridge.simulators.salesforce.people import convert_lead
from tillbridge.sync.alike import comparison

MODELS = ("person_account", "contact", "lead")

# How the org names what may be typed, per model.
_PERSON = {
    "first": "FirstName",
    "last": "LastName",
    "title": "PersonTitle",
    "company": "Lightspeed_Company__c",
    "email": "PersonEmail",
    "second": "Lightspeed_Secondary_Email__c",
    "mobile": "PersonMobilePhone",
    "home": "PersonHomePhone",
    "birth": "PersonBirthdate",
    "street": "PersonMailingStreet",
    "city": "PersonMailingCity",
    "zip": "PersonMailingPostalCode",
    "state": "PersonMailingState",
    "country": "PersonMailingCountry",
    "no_email": "PersonHasOptedOutOfEmail",
    "no_phone": "PersonDoNotCall",
    "no_mail": "Lightspeed_No_Mail__c",
}
_CONTACT = {name: field.removeprefix("Person") for name, field in _PERSON.items()}
_LEAD = {
    **{name: field.removeprefix("Mailing") for name, field in _CONTACT.items()},
    "home": "Lightspeed_Home_Phone__c",
    "birth": "Lightspeed_Birthdate__c",
}
del _LEAD["company"]  # A Lead's company is the person's name where there is none: it does not go back.
CRM_FIELDS = {
    "person_account": _PERSON,
    "contact": {**_CONTACT, "no_phone": "DoNotCall"},
    "lead": {**_LEAD, "no_phone": "DoNotCall"},
}
_WORDS = ("first", "last", "title", "email", "second", "mobile", "home", "birth", "street", "city", "zip")
_PLACES = ("state", "country")
_FLAGS = ("no_email", "no_phone", "no_mail")
_NEEDED = {"first", "last"}  # A name is edited and never cleared: the org would refuse that.
_STATES = ("California", "CA", "Nevada", "NY", "")
_COUNTRIES = ("United States", "Canada", "US", "")
_TILL_FLAGS = {"no_email": "noEmail", "no_phone": "noPhone", "no_mail": "noMail"}
_EMAILS = {"email", "secondary_email"}
_BORN = date(1950, 1, 1)

# A login that has run out meanwhile: the till's own way to say so.
_TROUBLES = (*FAULTS.values(), {"kind": "status", "status": 401, "body": "{}"})

QUIET_ROUNDS_MAX = 12

_MODES = ("till_to_crm", "crm_to_till", "fill_blanks", "link_only")

# In which modes what one side alone has said is to be shown by the other.
_BRINGS = {
    "two_way": {"till", "crm"},
    "till_to_crm": {"till"},
    "crm_to_till": {"crm"},
    "fill_blanks": {"till", "crm"},
    "link_only": set(),
}


class Killed(BaseException):
    """The process ends here."""


class Typed(NamedTuple):
    """A value that somebody typed."""

    side: str
    record: object
    field: str
    value: str


class PeopleLife(Life):
    """A world of customers on both sides, the one client that serves it, and what is true of it."""

    def __init__(self, world: ClosedWorld) -> None:
        super().__init__(world)
        self.dice = random.Random(7)
        self.typed: list[Typed] = []
        self.number = 0  # of values and people: each has its own
        self.joined: dict[str, str] = {}  # somebody's token -> of whom they turned out to be
        self.in_till: dict[int, str] = {}  # customers whom the shop entered, and their tokens
        self.in_crm: dict[str, str] = {}  # people whom the org entered
        self.marked: set[str] = set()
        self.touched: set[str] = set()  # tokens of those who were merged, deleted, archived or converted
        self.dead: set[object] = set()  # records that are nobody's to follow any more
        self.seen_flags: dict[tuple[object, str], bool] = {}  # what a person last said, by record and flag
        self.kills = 0
        self.decided = 0
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.locked = 0
        self.sent: list[str] = []  # every request of ours that was answered
        self.typed_before = 0  # how many values had been typed when the rules were said
        self._kill_in = 0
        self._is_dead = False
        self._listening = False
        world.watch = self._watch

    # --- preparing ----------------------------------------------------------------------------------

    def prepare(self):
        """Let three customers be linked and quiet, and somebody be in the CRM alone."""
        for _ in range(3):
            self.do_enter_in_till(0b111111)
        self.first = set(self.joined)  # whom the CRM knows, whatever the rules are from then on
        self.do_enter_in_crm(0, 0b1111)
        self.world.backfill()
        for _ in range(2):
            self.world.pass_time(minutes=30)
            self.world.sync()
        return self

    mode = "two_way"

    def begin(self, rules):
        self.world.configure(customers=rules)
        self.mode = next((mode for mode in _MODES if mode in rules), "two_way")
        self.sent.clear()
        self.typed_before = len(self.typed)

    def rehearse(self):
        self.begin("")
        super().rehearse()

    def play(self, script):
        for step in script:
            # People press Save again when a record is locked; only our own runs meet that.
            self.world.org.lock_percent = self.locked if step[0] in {"sync", "lock"} else 0
            super().play([step])
            if step[0] == "lock":
                self.locked = self.world.org.lock_percent

    # --- our own runs, and how they end -----------------------------------------------------------------

    def do_kill(self, steps):
        """End the process in that many steps."""
        self._listen()
        self._kill_in = 1 + steps

    def _watch(self, name, *, answered):
        if answered:
            self.sent.append(name)
        if self._listening:
            self._step()

    def _listen(self):
        if not self._listening:
            self._listening = True
            sa.event.listen(sa.Engine, "commit", lambda _connection: self._step())

    def _step(self):
        if self._is_dead:
            raise Killed
        if self._kill_in:
            self._kill_in -= 1
            if not self._kill_in:
                self._is_dead = True
                self._saved = self.world.home.with_name(f"{self.world.home.name}-{self.kills}")
                shutil.copytree(self.world.home, self._saved, ignore=shutil.ignore_patterns("*-shm"))
                raise Killed

    def _run(self, run):
        try:
            return super()._run(run)
        except Killed:
            self.kills += 1
            self._bury()
        except CredentialsRefused as error:
            # Two sessions in a row that the org has ended by itself: an administrator would be told.
            self.errors.append(f"{run.__name__}: {error}")
        return None

    def _bury(self):
        """Begin anew with what lay on the disk at that moment."""
        try:
            self._open.close()
        except Killed:
            """Nothing that a dying process still tries is done."""
        self._open, self._connection = ExitStack(), None
        self.world.home, self._is_dead = self._saved, False

    # --- people come ------------------------------------------------------------------------------------

    def do_enter_in_till(self, which):
        """Enter a customer; the bits of `which` say what is known of them."""
        token = self._token()
        contact = {"Phones": {"ContactPhone": [{"number": token, "useType": "Work"}]}}
        contact |= dict.fromkeys(_TILL_FLAGS.values(), False)
        fields = {
            "firstName": f"Nina{self.number}",
            "lastName": f"Nielsen{self.number}",
            "Contact": contact,
        }
        customer = self.world.floor.add("Customer", fields)["customerID"]
        self.in_till[customer] = token
        self.joined[token] = token
        self._type("till", customer, "first", fields["firstName"])
        self._type("till", customer, "last", fields["lastName"])
        for bit, name in enumerate(_WORDS[2:]):
            if which >> bit & 1:
                self._edit_till(customer, name, self._value(name))
        return customer

    def do_enter_in_crm(self, marked, which):
        """Enter somebody in the CRM, marked for the till or not."""
        token = self._token()
        fields = {self.crm["first"]: f"Olaf{self.number}", self.crm["last"]: f"Olsen{self.number}"}
        crm_id = self.world.person(
            f"Olaf{self.number}", f"Olsen{self.number}", Phone=token, Send_To_Lightspeed__c=bool(marked % 2)
        )
        self.in_crm[crm_id] = token
        self.joined[token] = token
        if marked % 2:
            self.marked.add(crm_id)
        self._type("crm", crm_id, "first", fields["FirstName"])
        self._type("crm", crm_id, "last", fields["LastName"])
        for bit, name in enumerate(_WORDS[2:]):
            if which >> bit & 1:
                self._edit_crm(crm_id, name, self._value(name))

    def do_mark(self, person):
        """Mark somebody for the till."""
        if crm_id := self._living_person(person):
            if crm_id not in self._linked():
                self.marked.add(crm_id)
            self.world.edit_in_crm(crm_id, Send_To_Lightspeed__c=True)

    # --- edits ------------------------------------------------------------------------------------------

    def do_edit_till(self, customer, which):
        if (till_id := self._living_customer(customer)) is not None:
            name = _WORDS[which % len(_WORDS)]
            self._edit_till(till_id, name, self._value(name))

    def do_edit_crm(self, person, which):
        if crm_id := self._living_person(person):
            name = _WORDS[which % len(_WORDS)]
            self._edit_crm(crm_id, name, self._value(name))

    def do_clear_till(self, customer, which):
        name = _WORDS[2:][which % len(_WORDS[2:])]
        if (till_id := self._living_customer(customer)) is not None:
            self._edit_till(till_id, name, "")

    def do_clear_crm(self, person, which):
        name = _WORDS[2:][which % len(_WORDS[2:])]
        if crm_id := self._living_person(person):
            self._edit_crm(crm_id, name, "")

    def do_edit_both(self, customer, which, how):
        """Edit one field of one person on both sides, to different values or to the same."""
        till_id = self._living_customer(customer)
        crm_id = {i: c for c, i in self._linked().items()}.get(till_id)
        if till_id is None or crm_id not in self._living_in_crm():
            return  # Nobody, or a converted Lead's contact, of whom the field map does not speak.
        name = _WORDS[which % len(_WORDS)]
        value = self._value(name)
        self._edit_till(till_id, name, value)
        other = {0: value, 1: ""}.get(how % 5, self._value(name))
        self._edit_crm(crm_id, name, self._value(name) if not other and name in _NEEDED else other)

    def do_place_till(self, customer, which):
        if (till_id := self._living_customer(customer)) is not None:
            self._edit_till(till_id, *self._place(which))

    def do_place_crm(self, person, which):
        if crm_id := self._living_person(person):
            self._edit_crm(crm_id, *self._place(which))

    def _place(self, which):
        name = _PLACES[which % 2]
        values = _STATES if name == "state" else _COUNTRIES
        return name, values[which // 2 % len(values)]

    def do_flag_till(self, customer, which):
        """Somebody says no, or takes it back, in the shop."""
        if (till_id := self._living_customer(customer)) is not None:
            name, said = _FLAGS[which % 3], bool(which // 3 % 3)
            self.seen_flags[till_id, name] = said
            self._edit_in_shop(till_id, {"Contact": {_TILL_FLAGS[name]: said}})

    def do_flag_crm(self, person, which):
        """Somebody says no, or takes it back, in the CRM."""
        if crm_id := self._living_person(person):
            name, said = _FLAGS[which % 3], bool(which // 3 % 3)
            self.seen_flags[crm_id, name] = said
            self.world.edit_in_crm(crm_id, **{self.crm[name]: said})

    def _edit_till(self, till_id, name, value):
        self._type("till", till_id, name, value)
        self._edit_in_shop(till_id, till_fields(name, value))

    def _edit_in_shop(self, till_id, fields):
        """Edit as the till's own screen does, which touches nothing else, whatever its interface does."""
        switches = self.till.switches
        replace, switches.contact_replace = switches.contact_replace, False
        self.world.floor.edit("Customer", till_id, fields)
        switches.contact_replace = replace

    def _edit_crm(self, crm_id, name, value):
        self._type("crm", crm_id, name, value)
        shown = value if name not in {"mobile", "home"} or not value else f"({value[2:5]}) {value[5:]}"
        if name == "birth" and value:
            shown = value[:10]
        self.world.edit_in_crm(crm_id, **{self.crm[name]: shown or None})

    # --- records go -------------------------------------------------------------------------------------

    def do_archive(self, customer):
        if (till_id := self._living_customer(customer)) is not None:
            self.world.floor.archive("Customer", till_id)
            self._gone(till_id, self._token_in_till(till_id))

    def do_merge_till(self, keep, lose):
        kept, lost = self._living_customer(keep), self._living_customer(lose)
        if None in {kept, lost} or kept == lost:
            return
        self._join(self._token_in_till(kept), self._token_in_till(lost))
        self.world.floor.merge(kept, lost)
        self._gone(lost, None)
        # What the survivor was given by the till itself nobody has typed there.
        self._forget_flags(kept)

    def do_merge_crm(self, keep, lose):
        kept, lost = self._living_person(keep), self._living_person(lose)
        if None in {kept, lost} or kept == lost:
            return
        self._join(self._token_in_crm(kept), self._token_in_crm(lost))
        self.world.pass_time(seconds=1)
        self.world.org.merge(kept, lost)
        self._gone(lost, None)

    def do_delete_crm(self, person):
        if crm_id := self._living_person(person):
            self._gone(crm_id, self._token_in_crm(crm_id))
            self.world.pass_time(seconds=1)
            result = self.world.org.write(
                self.world.org.staff, self.world.person_object, "delete", {"Id": crm_id}
            )
            assert result.success, result.errors

    def do_convert(self, person):
        """Convert a Lead; in the other models there is none."""
        if self.world.model == "lead" and (crm_id := self._living_person(person)):
            self._gone(crm_id, self._token_in_crm(crm_id))
            self.world.pass_time(seconds=1)
            convert_lead(self.world.org, crm_id)

    def _gone(self, record, token):
        self.dead.add(record)
        if token is not None:
            self.touched.add(self._root(token))

    def _join(self, one, other):
        for token in (one, other):
            self.touched.add(self._root(token))
        self.joined[self._root(other)] = self._root(one)
        self.touched.add(self._root(one))

    def _forget_flags(self, record):
        for name in _FLAGS:
            self.seen_flags.pop((record, name), None)

    # --- what goes wrong, and what a person says --------------------------------------------------------

    def do_fault(self, side, kind, every, times):
        wish = _TROUBLES[kind % len(_TROUBLES)]
        server = (self.world.till_server, self.world.crm_server)[side % 2]
        if wish.get("status") == 401:  # Once: a second one would be a refusal for good.
            match = "/API/" if side % 2 == 0 else "/services/data/"
            body = (
                "{}" if side % 2 == 0 else '[{"errorCode":"INVALID_SESSION_ID","message":"Session expired"}]'
            )
            server.faults.append(Fault(**{**wish, "body": body}, match=match, every=1 + every % 4))
            return
        match = ("", "", "^(POST|PUT|PATCH) ")[every % 3]
        server.faults.append(Fault(**wish, match=match, every=1 + every % 4, times=1 + times % 12))

    def do_decide(self, which):
        """A person decides one of the open conflicts, whatever it is about."""
        if self._connection is None or not (conflicts := self._connection.changes.open_conflicts()):
            return
        self._decide(conflicts[which % len(conflicts)], ("till", "crm")[which % 2])

    def _decide(self, conflict, winner):
        connection = self._connection
        with connection.state.begin() as c:
            connection.changes.decide(c, conflict.id, winner, "somebody")
            connection.state.doubt(c, "customer", [conflict.till_id])
        self.decided += 1

    # --- the end ----------------------------------------------------------------------------------------

    def settle(self) -> str:
        """End all trouble, let syncs run and a person decide, and say what is wrong then."""
        self._kill_in = 0
        self._calm()
        connection = self.connection()
        for rounds in range(QUIET_ROUNDS_MAX):
            sync(connection)
            self.do_wait(30)
            conflicts = connection.changes.open_conflicts()
            for conflict in conflicts:
                self._decide(conflict, self.dice.choice(("till", "crm")))
            if rounds >= 2 and not conflicts:
                break
        before, so_far = self._stamps(), len(self.sent)
        self.do_wait(4 * 60)
        sync(connection)
        sync(connection)
        after = self._stamps()
        found = {
            "open conflicts": connection.changes.open_conflicts(),
            "written again": [i for i in before.keys() | after.keys() if before.get(i) != after.get(i)],
            "till written when quiet": self._till_writes(so_far),
            "problems": [(p.kind, p.till_id, p.message) for p in connection.journal.open_problems()],
            "wrong links": self._wrong_links(connection),
            "disagreeing": self._disagreements(connection) if self.mode == "two_way" else [],
            "lost": self._lost_values(connection),
            "not brought across": self._not_brought_across(connection),
            "too many or too few": self._miscounted(connection),
            "opted in": self._opted_in(),
            "against the mode": self._against_the_mode(),
            "left standing": self._left_standing(connection),
        }
        self._open.close()
        return "; ".join(f"{what}: {value}" for what, value in found.items() if value)

    def _stamps(self):
        till = {("till", i): row["timeStamp"] for i, row in self.till["Customer"].rows.items()}
        return {**till, **self.world.stamps()}

    def _wrong_links(self, connection):
        """Return links between records of different people."""
        found = []
        for crm_id, till_id in self._links(connection):
            in_till, in_crm = self._token_in_till(till_id), self._token_in_crm(crm_id)
            if in_till and in_crm and self._root(in_till) != self._root(in_crm):
                found.append((till_id, crm_id))
        return found

    def _disagreements(self, connection):
        """Return fields of linked pairs that go both ways and do not show the same."""
        ways, found = ways_of(connection), []
        kinds = connection.objects[self.world.person_object].fields
        name = (
            self.world.person_object
        )  # A converted Lead's contact is not of the field map: it is left alone.
        pairs = {i: c for c, i in self._links(connection) if c in self.world.org.tables[name].rows}
        roles = connection.state.known("customer", [str(i) for i in pairs])
        for page in connection.till.customers(Query(ids=tuple(str(i) for i in pairs))):
            for customer in page.rows:
                if customer.archived or roles[customer.id].role == "second":
                    continue
                shown = seen_of(connection, customer).texts
                row = self.world.crm_row(pairs[int(customer.id)])
                region = region_of(customer, connection.region)
                for name, way in ways.items():
                    if way.opt_out:
                        continue
                    alike = comparison(kinds[name].type, way.slot, region)
                    if way.slot in _EMAILS:
                        continue
                    if not alike(shown.get(name), row.get(name)):
                        found.append((customer.id, name, shown.get(name), row.get(name)))
                # A lone secondary address shows as the e-mail: there is no telling which of both it is, and
                # the other side may show it in both places.
                names = [name for name, way in ways.items() if way.slot in _EMAILS]
                ours, theirs = ({held.get(n) for n in names} - {None, ""} for held in (shown, row))
                if ours != theirs:
                    found.append((customer.id, "e-mails", ours, theirs))
        return found

    def _lost_values(self, connection):
        """Return what somebody typed and is neither shown anywhere, nor typed over, nor kept as a loser."""
        last = {(each.side, each.record, each.field): each for each in self.typed}
        living = [i for i in self.till["Customer"].rows if i not in self.dead]
        known = connection.changes.of([str(i) for i in self.till["Customer"].rows])
        kept = {told(each.before) for each in known if each.before}
        shown = set()
        for till_id in living:
            shown |= texts_of(self.till["Customer"].rows[till_id])
        for row in self.world.all_rows(self.world.person_object):
            shown |= texts_of(row)
        return [
            each
            for each in last.values()
            if each.value
            and each.record not in self.dead
            and each.field not in _PLACES
            and told(each.value) not in shown | kept
        ]

    def _miscounted(self, connection):
        """Return whom one side holds twice, or lacks."""
        found = []
        shop = Counter(self._root(self._token_in_till(i)) for i in self._living_in_till())
        org = Counter(self._root(self._token_in_crm(i)) for i in self._living_in_crm())
        typed_in_shop = Counter(map(self._root, self.in_till.values()))
        typed_in_org = Counter(map(self._root, self.in_crm.values()))
        for root in shop.keys() | org.keys():
            if root in self.touched:
                if shop[root] > max(typed_in_shop[root] + typed_in_org[root], 1):
                    found.append((root, "in the till", shop[root]))
                if org[root] > max(typed_in_shop[root] + typed_in_org[root], 1):
                    found.append((root, "in the CRM", org[root]))
                continue
            linked = self.mode not in {"crm_to_till", "link_only"} or root in self.first
            if typed_in_shop[root] and (shop[root], org[root]) != (1, int(linked)):
                found.append((root, "entered in the shop", shop[root], org[root]))
            if typed_in_org[root]:
                wanted = any(self._root(self._token_in_crm(i)) == root for i in self.marked)
                expected = int(wanted and self.mode in {"two_way", "crm_to_till"})
                if (shop[root], org[root]) != (expected, 1):
                    found.append((root, "entered in the CRM", expected, shop[root], org[root]))
        return found

    def _opted_in(self):
        """Return where somebody's no was turned into a yes, by anybody but them."""
        found = []
        for (record, name), said in self.seen_flags.items():
            if not said or record in self.dead:
                continue
            if isinstance(record, int):
                shown = self.till["Customer"].rows[record]["Contact"][_TILL_FLAGS[name]]
            else:
                shown = self.world.crm_row(record)[self.crm[name]]
            if not shown:
                found.append((record, name))
        return found

    def _till_writes(self, since=0):
        return [n for n in self.sent[since:] if n.startswith(("PUT", "POST")) and "/Customer" in n]

    def _against_the_mode(self):
        """Return what was written that the mode forbids: read off the sides, not from our own diary."""
        found = []
        if self.mode in {"till_to_crm", "link_only"}:
            found += self._till_writes()
            found += self._strayed("crm", [self.till["Customer"].rows[i] for i in self._living_in_till()])
        if self.mode in {"crm_to_till", "link_only"}:
            found += self._strayed("till", self.world.all_rows(self.world.person_object))
        if self.mode == "fill_blanks":
            found += self._overwritten()
        return found

    def _strayed(self, side, rows):
        """Return values that people typed on that side alone, and that the other side's rows show."""
        elsewhere = {told(each.value) for each in self.typed if each.side != side}
        shown = {text for row in rows for text in texts_of(row)}
        return [
            each
            for each in self.typed[self.typed_before :]
            if each.side == side
            and each.value
            and each.field not in _PLACES
            and told(each.value) in shown - elsewhere
        ]

    def _overwritten(self):
        """Return values that people typed last into a living record, and that it does not show any more."""
        return [
            each
            for each in self._last_typed()
            if each.value and told(each.value) not in texts_of(self._row_of(each.record))
        ]

    def _not_brought_across(self, connection):
        """Return values that one side alone has said of a linked person, and that the other does not show."""
        other = dict(self._links(connection))
        roles = connection.state.known("customer", [str(i) for i in other.values()])
        pairs = {c: i for c, i in other.items() if roles[str(i)].role != "second"}
        pairs |= {i: c for c, i in pairs.items()}
        said = Counter((each.record, each.field) for each in self.typed)
        empty = {(each.record, each.field) for each in self.typed if not each.value}
        return [
            each
            for each in self._last_typed()
            if each.side in _BRINGS[self.mode]
            and each.value
            and (there := pairs.get(each.record)) is not None
            and self._is_untouched(there)
            and (there, each.field) not in said
            and (each.record, each.field) not in empty
            # What was filled once is no blank: a later edit stays on its side.
            and (self.mode != "fill_blanks" or said[each.record, each.field] == 1)
            and told(each.value) not in texts_of(self._row_of(there))
        ]

    def _last_typed(self):
        """Return what people typed last into each field of the records that stayed what they were."""
        last = {(each.side, each.record, each.field): each for each in self.typed}
        return [
            each
            for each in last.values()
            if each.field not in _PLACES
            and each.field in CRM_FIELDS[self.world.model]
            and self._is_untouched(each.record)
        ]

    def _is_untouched(self, record):
        if record in self.dead:
            return False
        token = self._token_in_till(record) if isinstance(record, int) else self._token_in_crm(record)
        return token is not None and self._root(token) not in self.touched

    def _row_of(self, record):
        return self.till["Customer"].rows[record] if isinstance(record, int) else self.world.crm_row(record)

    def _left_standing(self, connection):
        """Return whoever still waits for something, in a world in which all is said."""
        states = ("waiting", "conflict", "held", "problem", "review")
        return [
            (state, each.till_id, each.reason)
            for state in states
            for each in connection.state.in_state("customer", state)
            # A record that the till has merged another person's into may be anybody's: a person is asked.
            if state != "review" or self._root(self._token_in_till(int(each.till_id))) not in self.touched
        ]

    # --- who is who ---------------------------------------------------------------------------------------

    @property
    def crm(self):
        return CRM_FIELDS[self.world.model]

    def _token(self):
        self.number += 1
        return f"+1415200{self.number:04d}"

    def _value(self, name):
        """Return a value that nobody has typed before."""
        self.number += 1
        number = self.number
        match name:
            case "email" | "second":
                return f"{name}{number}@example.com"
            case "mobile" | "home":
                return f"+1415300{number:04d}"
            case "birth":
                return f"{_BORN + timedelta(days=number)}T08:00:00+00:00"
            case "zip":
                return f"9{number:04d}"
            case "street":
                return f"{number} Main Street"
            case _:
                return f"{name.capitalize()}{number}"

    def _type(self, side, record, field, value):
        self.typed.append(Typed(side, record, field, value))

    def _root(self, token):
        while token is not None and self.joined.get(token, token) != token:
            token = self.joined[token]
        return token

    def _token_in_till(self, till_id):
        row = self.till["Customer"].rows.get(till_id)
        phones = (row or {}).get("Contact", {}).get("Phones") or ()
        return next((told_phone(p["number"]) for p in phones if p["useType"] == "Work"), None)

    def _token_in_crm(self, crm_id):
        found = self.world.org.row(crm_id)
        return told_phone(found[1]["Phone"]) if found and found[1].get("Phone") else None

    def _living_in_till(self):
        return [i for i, row in sorted(self.till["Customer"].rows.items()) if not row["archived"]]

    def _living_in_crm(self):
        rows = self.world.org.tables[self.world.person_object].rows
        return [i for i in sorted(rows) if self._is_alive(i) and rows[i].get("Phone")]

    def _is_alive(self, crm_id):
        table, row = self.world.org.row(crm_id)
        return row["Id"] in table.rows and not row.get("IsConverted")

    def _living_customer(self, number):
        living = self._living_in_till()
        return living[number % len(living)] if living else None

    def _living_person(self, number):
        living = self._living_in_crm()
        return living[number % len(living)] if living else None

    def _linked(self):
        return dict(self._links(self.connection())) if self._connection is not None else {}

    def _links(self, connection):
        links = connection.state.links("customer", [str(i) for i in self.till["Customer"].rows])
        return [(link.crm_id, int(i)) for i, link in sorted(links.items())]

    def _try(self, act, *arguments, **fields):
        try:
            act(*arguments, **fields)
        except Refused:
            """The till refuses what cannot be done."""


def till_fields(name, value):
    """Return one edit as the till's staff write it."""
    match name:
        case "first":
            return {"firstName": value}
        case "last":
            return {"lastName": value}
        case "title" | "company":
            return {name: value}
        case "birth":
            return {"dob": value}
        case "email" | "second":
            use = "Primary" if name == "email" else "Secondary"
            return {"Contact": {"Emails": {"ContactEmail": [{"address": value, "useType": use}]}}}
        case "mobile" | "home":
            return {
                "Contact": {"Phones": {"ContactPhone": [{"number": value, "useType": name.capitalize()}]}}
            }
        case "state":
            return _address(state=value, stateCode=value if len(value) == 2 else "")
        case "country":
            return _address(country=value, countryCode=value if len(value) == 2 else "")
        case _:
            return _address(
                **{"street": {"address1": value}, "city": {"city": value}, "zip": {"zip": value}}[name]
            )


def _address(**parts):
    return {"Contact": contact_of(address=parts)}


def told_phone(text):
    """Return a number of these worlds as it is typed, however a side writes it."""
    digits = "".join(ch for ch in text if ch.isdigit())
    return f"+1{digits[-10:]}"


def told(value):
    """Write a value so that two spellings of it are one."""
    text = str(value).strip()
    digits = "".join(ch for ch in text if ch.isdigit())
    if len(digits) >= 10 and all(ch in "+()- 0123456789" for ch in text) and text[4:5] != "-":
        return told_phone(text)
    return text[:10] if text[4:5] == "-" and text[7:8] == "-" else text.casefold()


def texts_of(value):
    """Return every text in a row, spelt alike."""
    if isinstance(value, dict):
        return {text for each in value.values() for text in texts_of(each)}
    if isinstance(value, list | tuple):
        return {text for each in value for text in texts_of(each)}
    return {told(value)} if value is not None else set()
