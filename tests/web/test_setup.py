"""The set-up wizard, asked in process over two simulators: as somebody without scripts would use it."""

import re
import stat
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from job_plant import until
from setup_served import APP, APP_SECRET, TILL, registered, world_to_join
from web_console import Plant

from tillbridge.connectors.http import Http
from tillbridge.setup import steps
from tillbridge.setup.crm import login_origin
from tillbridge.setup.setups import BEING_SET_UP
from tillbridge.simulators.salesforce.oauth import Client, register

ALLOWED = "[service]\nsimulators = true\n"
BASE = "http://localhost"
DEFAULT = "/set-up/default"


class Wizard(Plant):
    """An empty installation, its console, and the two accounts that are to be joined."""

    def __init__(self, folder, config=ALLOWED, model="person_account"):
        self.world = world_to_join(folder / "sims", runs=False, model=model)
        self.home = folder / "home"
        self.home.mkdir()
        super().__init__(self.home, config=config, clock=self.world.clock)
        registered(self.world, BASE)
        self._hash = "nobody here signs in by a password"
        self.admin = self.signed_in("admin")

    def close(self):
        super().close()
        self.world.close()

    # --- what somebody presses -----------------------------------------------------------------

    def begin(self, name="default"):
        assert 303 == self.admin.press("/set-up", name=name).status_code

    def ask_till(self, name="default", **other):
        url = self.world.till_server.url
        fields = {**TILL, "access": "write", "api_url": url, "auth_url": url, **other}
        return self.admin.press(f"/set-up/{name}/lightspeed", **fields)

    def consent(self, side, name="default"):
        """The address where somebody allows it, as the page shows it."""
        shown = self.admin.get(f"/set-up/{name}/{side}").text
        return re.search(r'href="([^"]+/authorize[^"]*)"', shown)[1].replace("&amp;", "&")

    def allowed(self, side, name="default"):
        """Follow the link to the other side and return where it sends the browser back to."""
        return self.follow(self.consent(side, name))

    def follow(self, address):
        with Http() as http:
            back = http.request("GET", address).headers["location"]
        assert back.startswith(f"{BASE}/connected/"), back
        return back.removeprefix(BASE)

    def connect_till(self, name="default"):
        self.ask_till(name)
        return self.admin.get(self.allowed("lightspeed", name))

    def connect_crm(self, name="default", **other):
        fields = {
            "auth": "client_credentials",
            "login": "own",
            "domain": self.world.crm_server.url,
            "client_id": APP,
            "client_secret": APP_SECRET,
            **other,
        }
        return self.admin.press(f"/set-up/{name}/salesforce", **fields)

    def connect(self):
        self.begin()
        self.connect_till()
        self.connect_crm()
        assert "package" == self.setups.standing("default").next

    def run(self, step, name="default"):
        """Press the button of a step that takes a while, and wait for what comes of it."""
        assert 303 == self.admin.press(f"/set-up/{name}/{step}").status_code
        until(lambda: not self.setups.errands.of(name, step).runs, f"{step} has ended")
        errand = self.setups.errands.of(name, step)
        assert ("done", "") == (errand.state, errand.why)
        return self.admin.get(f"/set-up/{name}/{step}").text

    @property
    def setups(self):
        return self.console.setups

    def sealed(self, name="default"):
        return self.setups.sealed(name)


@pytest.fixture
def wizard(tmp_path):
    made = Wizard(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A set-up that was begun; tests that share it leave it so."""
    made = Wizard(tmp_path_factory.mktemp("begun"))
    made.begin()
    yield made
    made.close()


@pytest.fixture(scope="module")
def connected(tmp_path_factory):
    """Both sides connected and the package installed; tests that share it leave it so."""
    made = Wizard(tmp_path_factory.mktemp("wizard"))
    made.connect()
    made.run("package")
    yield made
    made.close()


def told(answer):
    """What a page says is wrong."""
    found = re.search(r'<div class="alert alert-danger" role="alert">(.*?)</div>', answer.text, re.DOTALL)
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", found[1]).split())) if found else ""


# --- beginning -----------------------------------------------------------------------------------


def test_an_installation_without_a_connection_leads_its_admin_to_the_wizard(wizard):
    assert "/set-up" == wizard.admin.get("/").headers["location"]
    assert "Join your till and Salesforce" in wizard.admin.get("/set-up").text


def test_nobody_below_an_admin_sees_it(begun):
    found = {role: begun.signed_in(role).get(DEFAULT).status_code for role in ("viewer", "operator")}

    assert {"viewer": 403, "operator": 403} == found


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param("", "A name begins with a small letter", id="no name"),
        pytest.param(
            "North Side", "A name begins with a small letter", id="a name that no folder should have"
        ),
        pytest.param("../north", "A name begins with a small letter", id="a name that leads elsewhere"),
        pytest.param("default", "There is a connection called default already.", id="a name that is taken"),
    ],
)
def test_a_connection_is_named_so_that_it_can_be_kept(begun, name, sentence):
    answer = begun.admin.press("/set-up", name=name)

    assert (422, True) == (answer.status_code, sentence in answer.text)


@pytest.mark.parametrize("step", [step.name for step in steps.STEPS if step.needs])
def test_a_step_that_needs_others_says_which(begun, step):
    shown = begun.admin.get(f"{DEFAULT}/{step}").text

    assert "Not yet" in shown
    assert 'href="/set-up/default/lightspeed">Connect Lightspeed' in shown


# --- Lightspeed ----------------------------------------------------------------------------------


def test_consent_is_asked_for_with_a_state_and_a_challenge_and_no_secret(wizard):
    wizard.begin()
    wizard.ask_till()

    address = wizard.consent("lightspeed")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}

    assert ("code", TILL["client_id"], "S256") == (
        asked["response_type"],
        asked["client_id"],
        asked["code_challenge_method"],
    )
    assert asked["state"].startswith("default.")
    assert "employee:customers employee:inventory_read" in asked["scope"]
    assert TILL["client_secret"] not in address


def test_the_answer_connects_the_till(wizard):
    wizard.begin()

    answer = wizard.connect_till()

    assert f"{DEFAULT}/salesforce?said=step-done" == answer.headers["location"]
    assert {"lightspeed_client_secret", "lightspeed_refresh_token"} <= wizard.sealed()
    assert "190001" == wizard.setups.settings("default")["lightspeed"]["account_id"]


def test_reading_alone_asks_for_less(wizard):
    wizard.begin()
    wizard.ask_till(access="read")

    scope = parse_qs(urlsplit(wizard.consent("lightspeed")).query)["scope"][0]

    assert ("employee:customers_read" in scope, "employee:customers " in scope) == (True, False)


def other_state(wizard, back):
    return back.replace("state=default.", "state=default.x")


def other_connection(wizard, back):
    return back.replace("state=default.", "state=elsewhere.")


def no_state(wizard, back):
    return re.sub(r"&?state=[^&]*", "", back)


def no_leave(wizard, back):
    return f"{re.sub('code=[^&]*', '', back)}&error=access_denied"


def too_late(wizard, back):
    wizard.world.pass_time(minutes=16)
    return back


def other_code(wizard, back):
    return re.sub(r"code=[^&]*", "code=def502made-up", back)


@pytest.mark.parametrize(
    ("changed", "status", "sentence"),
    [
        pytest.param(
            other_state, 422, "That answer belongs to another question. Begin again.", id="another state"
        ),
        pytest.param(other_connection, 404, "", id="the state of a connection that is not there"),
        pytest.param(no_state, 404, "", id="no state"),
        pytest.param(
            no_leave, 422, "Lightspeed sent you back without leave: nothing was allowed there. "
            "Ask again when you are ready.", id="they said no",
        ),
        pytest.param(
            too_late, 422, "That took longer than a quarter of an hour. Begin again.", id="an answer too late"
        ),
        pytest.param(
            other_code, 422, "Lightspeed's token server says invalid_grant (Cannot decrypt the authorization "
            "code). The code is good for a minute and for one use: begin again.", id="a code of nobody",
        ),
    ],
)  # fmt: skip
def test_an_answer_that_nobody_asked_for_connects_nothing(wizard, changed, status, sentence):
    wizard.begin()
    wizard.ask_till()

    answer = wizard.admin.get(changed(wizard, wizard.allowed("lightspeed")))

    assert (status, sentence) == (answer.status_code, told(answer))
    assert "lightspeed_refresh_token" not in wizard.sealed()
    assert "lightspeed" == wizard.setups.standing("default").next


def test_an_answer_is_taken_once(wizard):
    wizard.begin()
    wizard.ask_till()
    back = wizard.allowed("lightspeed")

    first, second = wizard.admin.get(back), wizard.admin.get(back)

    assert (303, 422) == (first.status_code, second.status_code)
    assert "That answer was used already, or nobody asked for it. Begin again." == told(second)


def test_an_answer_counts_in_the_browser_that_asked(wizard):
    wizard.begin()
    wizard.ask_till()
    back = wizard.allowed("lightspeed")
    other = wizard.signed_in_as(wizard.access.named("admin")[0])

    answer = other.get(back)

    assert (422, "Another browser has asked for that. Begin again in this one.") == (
        answer.status_code,
        told(answer),
    )
    assert 422 == wizard.admin.get(back).status_code, "whoever has seen it may have kept it"


def test_a_made_up_answer_does_not_void_the_question(wizard):
    wizard.begin()
    wizard.ask_till()
    back = wizard.allowed("lightspeed")

    wizard.admin.get(other_state(wizard, back))

    assert 303 == wizard.admin.get(back).status_code


def test_asking_again_voids_the_earlier_question(wizard):
    wizard.begin()
    wizard.ask_till()
    earlier = wizard.allowed("lightspeed")
    wizard.ask_till()

    assert 422 == wizard.admin.get(earlier).status_code


def test_an_answer_whose_page_did_not_open_can_be_pasted(wizard):
    wizard.begin()
    wizard.ask_till()
    back = wizard.allowed("lightspeed")

    wrong = wizard.admin.press(f"{DEFAULT}/lightspeed/answer", address="https://retailer.example/")
    odd = wizard.admin.press(f"{DEFAULT}/lightspeed/answer", address="https://[x?state=default.x&code=y")
    right = wizard.admin.press(f"{DEFAULT}/lightspeed/answer", address=f"https://retailer.example{back}")

    assert (422, 422, 303) == (wrong.status_code, odd.status_code, right.status_code)
    assert "190001" == wizard.setups.settings("default")["lightspeed"]["account_id"]


def test_a_wrong_secret_is_told_at_once(wizard):
    wizard.begin()
    wizard.ask_till(client_secret="another")

    answer = wizard.admin.get(wizard.allowed("lightspeed"))

    assert (
        "Lightspeed's token server says invalid_client. Check client id and client secret of the Lightspeed "
        "API client."
    ) == told(answer)


def test_one_of_several_accounts_is_chosen(wizard):
    wizard.world.till_app.world.switches.set({"accounts_listed": 2, "token_names_account": False})
    wizard.begin()

    asked = wizard.admin.get(wizard.connect_till().headers["location"])
    wrong = wizard.admin.press(f"{DEFAULT}/lightspeed/account", account="4711")
    right = wizard.admin.press(f"{DEFAULT}/lightspeed/account", account="190001")

    assert ("Which account?" in asked.text, wrong.status_code, right.status_code) == (True, 422, 303)
    assert "190001" == wizard.setups.settings("default")["lightspeed"]["account_id"]


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com",
        "https://lightspeedapp.com.example.com",
        "https://notlightspeedapp.com",
        "http://api.lightspeedapp.com",
        "https://api.lightspeedapp.com:8443",
        "https://user@api.lightspeedapp.com",
        "https://api.lightspeedapp.com/path",
        "http://169.254.169.254",
        "http://[::1]@example.com",
        "file:///etc/passwd",
    ],
)
def test_the_till_is_nowhere_but_at_lightspeed(begun, address):
    answer = begun.ask_till(api_url=address)

    assert 422 == answer.status_code
    assert "is none of Lightspeed" in told(answer)
    assert {} == begun.setups.kept("default").consents


def test_without_leave_nobody_is_led_to_this_machine(tmp_path):
    strict = Wizard(tmp_path, config="[service]\n")
    try:
        strict.begin()
        found = strict.ask_till(), strict.connect_crm()
        assert [422, 422] == [each.status_code for each in found]
        assert "lightspeed" == strict.setups.standing("default").next
    finally:
        strict.close()


# --- Salesforce ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "sentence"),
    [
        pytest.param("", "Enter the org's My Domain", id="nothing"),
        pytest.param("https://example.com", "is no login address of Salesforce", id="somebody else"),
        pytest.param("my.salesforce.com.example.com", "is no login address", id="a name that begins so"),
        pytest.param("http://acme.my.salesforce.com", "is no login address", id="in the clear"),
        pytest.param("https://acme.my.salesforce.com:444", "is no login address", id="another port"),
        pytest.param("https://acme.lightning.force.com", "is for browsers", id="the address of the pages"),
        pytest.param("https://a@acme.my.salesforce.com", "is no address", id="with a user"),
        pytest.param("http://10.0.0.1", "is no login address", id="inside of somebody's network"),
    ],
)
def test_people_sign_in_nowhere_but_at_salesforce(begun, domain, sentence):
    answer = begun.connect_crm(domain=domain)

    assert (422, True) == (answer.status_code, sentence in told(answer))


def test_my_domain_is_read_as_people_paste_it():
    found = login_origin(" acme--test.sandbox.my.salesforce.com/lightning/page/home ", simulators=False)

    assert "https://acme--test.sandbox.my.salesforce.com" == found


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        pytest.param({"client_id": ""}, "client_id", id="no consumer key"),
        pytest.param({"client_secret": ""}, "client_secret", id="no secret"),
        pytest.param({"login": "production"}, "domain", id="client credentials at a shared host"),
        pytest.param({"auth": "jwt"}, "username", id="a statement about nobody"),
        pytest.param(
            {"auth": "jwt", "username": "a@b.example"}, "private_key", id="a statement without a key"
        ),
        pytest.param({"auth": "password"}, "auth", id="a way that there is not"),
    ],
)
def test_what_is_missing_is_said_at_its_field(begun, fields, where):
    answer = begun.connect_crm(**fields)

    assert 422 == answer.status_code
    assert f'<a href="#{where}">' in answer.text
    assert where == "auth" or 'aria-invalid="true"' in answer.text


def test_a_wrong_consumer_secret_is_told_at_once_and_not_kept(wizard):
    wizard.begin()

    answer = wizard.connect_crm(client_secret="another")

    assert "Salesforce refused the login (invalid_client" in told(answer)
    assert "salesforce_client_secret" not in wizard.sealed()


def test_salesforce_is_connected_by_consent(wizard):
    wizard.begin()
    wizard.connect_till()
    wizard.connect_crm(auth="refresh_token")

    answer = wizard.admin.get(wizard.allowed("salesforce"))

    assert f"{DEFAULT}/package?said=step-done" == answer.headers["location"]
    assert "salesforce_refresh_token" in wizard.sealed()
    assert "refresh_token" == wizard.setups.settings("default")["salesforce"]["auth"]


def test_a_key_is_made_here_and_its_certificate_handed_out(wizard):
    wizard.begin()
    wizard.connect_till()
    made = wizard.admin.press(f"{DEFAULT}/salesforce/key")
    pem = wizard.admin.get(f"{DEFAULT}/salesforce/certificate")
    public = x509.load_pem_x509_certificate(pem.content).public_key()
    user = next(iter(wizard.world.org.users.values()))
    spelled = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    register(wizard.world.org, Client(key="signed", public_key=spelled))

    answer = wizard.connect_crm(auth="jwt", client_id="signed", username=user.username)

    assert (303, 303) == (made.status_code, answer.status_code)
    assert "attachment" in pem.headers["content-disposition"]
    assert "PRIVATE" not in pem.text + wizard.admin.get(f"{DEFAULT}/salesforce?auth=jwt").text
    assert {"secret": "salesforce_private_key"} == wizard.setups.settings("default")["salesforce"][
        "private_key"
    ]


def test_what_is_no_key_is_not_taken_for_one(begun):
    fields = {
        "auth": "jwt",
        "login": "production",
        "client_id": "x",
        "username": "y",
        "csrf": begun.admin.csrf,
    }

    answer = begun.admin.post(
        f"{DEFAULT}/salesforce", data=fields, files={"private_key": ("a.pem", b"not a key")},
        headers={"sec-fetch-site": "same-origin"},
    )  # fmt: skip

    assert (422, True) == (answer.status_code, "That is no private key in PEM" in told(answer))


# --- secrets and what is remembered --------------------------------------------------------------


def test_no_secret_comes_back_to_a_browser_or_stands_in_a_file(connected):
    tokens = connected.setups.unsealed("default", "lightspeed_refresh_token")
    secrets = (TILL["client_secret"], APP_SECRET, tokens)

    pages = [connected.admin.get(f"{DEFAULT}/{step.name}").text for step in steps.STEPS]
    files = [
        path.read_text() for path in connected.home.iterdir() if path.suffix in {".json", ".toml", ".log"}
    ]

    assert [] == [secret for secret in secrets for text in (*pages, *files) if secret in text]
    assert "Stored" in pages[0]


def test_what_is_remembered_is_for_its_owner(begun):
    assert 0o600 == stat.S_IMODE((begun.home / "setup.json").stat().st_mode)


def test_a_set_up_goes_on_where_it_was_left(wizard):
    wizard.begin()
    wizard.connect_till()
    again = Plant(wizard.home, config=(wizard.home / "tillbridge.toml").read_text(), clock=wizard.clock)
    try:
        admin = again.signed_in_as(again.access.named("admin")[0])
        assert f"{DEFAULT}/salesforce" == admin.get(DEFAULT).headers["location"]
        assert "Fairway &amp; Sons (190001)" in admin.get(f"{DEFAULT}/salesforce").text
    finally:
        again.close()


def test_a_connection_stands_still_until_it_goes_live(wizard):
    wizard.connect()

    assert {"default": BEING_SET_UP} == {name: why for name, (why, _) in wizard.service.stopped().items()}
    assert {} == wizard.world.rows("Sales_Transaction__c")


def test_every_step_is_written_down_with_who_did_it(wizard):
    wizard.connect()

    found = {entry.what for entry in wizard.access.entries(limit=50)}

    assert {"set-up begun", "consent asked for", "till connected", "org connected"} <= found


# --- the steps between ---------------------------------------------------------------------------


def test_the_package_is_installed_and_can_be_installed_again(connected):
    assert "Installed: 204 components" in connected.admin.get(f"{DEFAULT}/package").text
    assert "Installed: 204 components" in connected.run("package")


def test_the_checklist_leads_to_the_step_that_puts_it_right(wizard):
    wizard.connect()

    shown = wizard.run("check")

    assert "to put right" in shown
    assert 'href="/set-up/default/package">Install the package' in shown
    assert "check" not in wizard.setups.standing("default").done


def test_a_checklist_without_a_fault_lets_go_on(connected):
    shown = connected.run("check")

    assert ("All is well" in shown, "check" in connected.setups.standing("default").done) == (True, True)


def test_a_model_that_the_org_cannot_have_is_not_taken(tmp_path):
    plain = Wizard(tmp_path, model="contact")
    try:
        plain.connect()
        shown = plain.admin.get(f"{DEFAULT}/customers").text
        answer = plain.admin.press(f"{DEFAULT}/customers", model="person_account", mode="two_way")
        assert "The org has no person accounts" in shown
        assert 422 == answer.status_code
        assert 303 == plain.admin.press(f"{DEFAULT}/customers", model="contact", mode="two_way").status_code
        assert "contact" == plain.setups.settings("default")["customers"]["model"]
    finally:
        plain.close()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"store": ["1", "2", "3"], "desk": ["1", "2", "3"]}, {}, id="all: later ones too"),
        pytest.param(
            {"store": ["2"], "desk": ["2"]}, {"stores": ["2"]}, id="one store with all its registers"
        ),
        pytest.param(
            {"store": ["2", "3"], "desk": ["2"]},
            {"stores": ["2", "3"], "registers": ["2"]},
            id="some registers",
        ),
        pytest.param({"store": []}, None, id="no store"),
        pytest.param({"store": ["77"]}, None, id="a store of somebody else"),
        pytest.param({"store": ["2"], "desk": ["3"]}, None, id="no register of the stores"),
    ],
)
def test_stores_and_registers_take_part_as_they_are_ticked(connected, fields, expected):
    answer = connected.admin.press(f"{DEFAULT}/stores", history="all", **fields)
    written = connected.setups.settings("default").get("sales", {})
    connected.admin.press(f"{DEFAULT}/stores", history="all", store=["1", "2", "3"], desk=["1", "2", "3"])

    assert (422 if expected is None else 303) == answer.status_code
    assert (expected or {}) == written


def test_sales_take_part_since_a_day(connected):
    everything = {"store": ["1", "2", "3"], "desk": ["1", "2", "3"]}

    wrong = connected.admin.press(f"{DEFAULT}/stores", history="since", since="soon", **everything)
    right = connected.admin.press(f"{DEFAULT}/stores", history="since", since="2026-01-01", **everything)
    since = connected.setups.settings("default")["sales"]["since"]
    connected.admin.press(f"{DEFAULT}/stores", history="all", **everything)

    assert (422, 303, "2026-01-01") == (wrong.status_code, right.status_code, str(since))


def lines_of(page):
    """The lines of the map as the page's form would send them."""
    found = re.findall(r'name="target" value="([^"]*)">.*?name="line" value="([^"]*)"', page.text, re.DOTALL)
    assert found
    return {target: line.replace("&#39;", "'").replace("&amp;", "&") for target, line in found}


def sent(connected, do, table="customer", new=("", ""), **changes):
    lines = {**lines_of(connected.admin.get(f"{DEFAULT}/fields?table={table}")), **changes}
    return connected.admin.press(
        f"{DEFAULT}/fields",
        table=table,
        do=do,
        target=list(lines),
        line=list(lines.values()),
        new_target=new[0],
        new_line=new[1],
    )


def test_the_map_stands_beside_real_rows_of_both_sides(connected):
    page = connected.admin.get(f"{DEFAULT}/fields").text

    assert "Lindqvist" in page, "what the till says of a customer"
    assert "there: false" in page, "what Salesforce holds of the one whom it has already"
    assert "not in Salesforce yet" in page


@pytest.mark.parametrize(
    ("target", "line", "sentence"),
    [
        pytest.param(
            "FirstName", "frist_name", "There is no &#39;frist_name&#39; to read; did you mean", id="a typo"
        ),
        pytest.param(
            "FirstName", "first_name | uper", "There is no function &#39;uper&#39;", id="no such function"
        ),
        pytest.param("No_Such__c", "first_name", "Account has no field No_Such__c", id="no such field"),
        pytest.param(
            "PersonBirthdate", "last_name", "takes a date, and this line gives a text", id="a name as a day"
        ),
        pytest.param(
            "CreatedDate", "last_name", "may not write Account.CreatedDate", id="a field that is theirs"
        ),
    ],
)
def test_each_error_is_one_sentence_at_its_line(connected, target, line, sentence):
    new = (target, line) if target in {"No_Such__c", "CreatedDate"} else ("", "")
    changes = {} if new[0] else {target: line}

    tried, saved = (sent(connected, do, new=new, **changes) for do in ("preview", "save"))

    assert (200, 422) == (tried.status_code, saved.status_code)
    assert (True, True) == (sentence in tried.text, sentence in saved.text)
    assert f'id="said-{target}"' in tried.text
    assert {} == connected.setups.settings("default").get("map", {}).get("customer", {})


def test_a_line_is_tried_saved_and_taken_back(connected):
    tried = sent(connected, "preview", LastName="last_name | upper")
    saved = sent(connected, "save", LastName="last_name | upper")
    kept = connected.setups.settings("default")["map"]
    back = sent(connected, "save", LastName="last_name")

    assert ("LINDQVIST" in tried.text, saved.status_code) == (True, 303)
    assert {"customer": {"LastName": "last_name | upper"}} == kept
    assert (303, {}) == (back.status_code, connected.setups.settings("default")["map"].get("customer", {}))


@pytest.mark.parametrize(
    "table", ["sale", "line", "payment", "product", "price", "stock", "store", "employee", "identity"]
)
def test_every_table_of_the_map_can_be_looked_at(connected, table):
    page = connected.admin.get(f"{DEFAULT}/fields?table={table}")

    assert (200, "") == (page.status_code, told(page))


# --- to the end, and beyond ----------------------------------------------------------------------


def test_it_goes_live_by_plain_forms_and_each_step_can_be_done_anew(wizard):
    wizard.connect()
    wizard.run("package")
    wizard.run("check")
    press = wizard.admin.press
    press(f"{DEFAULT}/customers", model="person_account", mode="two_way")
    press(f"{DEFAULT}/stores", store=["1", "2", "3"], desk=["1", "2", "3"], history="all")
    press(f"{DEFAULT}/fields/done")
    assert "What a day costs" in wizard.run("forecast")
    shown = wizard.run("load")
    assert "2 would be created in Salesforce; 1 would be changed in Salesforce." in shown
    assert "PersonEmail" in shown or "Person Email" in shown
    early = press(f"{DEFAULT}/live")
    assert "Not yet" in early.text, "nobody has approved the load"
    assert 303 == press(f"{DEFAULT}/load/approve").status_code

    assert 303 == press(f"{DEFAULT}/live").status_code

    assert {} == wizard.service.stopped()
    due = {(each.kind, each.name) for each in wizard.service.streams("default") if each.next_due is not None}
    assert {("backfill", ""), ("poll", "sales")} <= due
    assert "On the way to Salesforce" in wizard.admin.get(f"{DEFAULT}/live").text
    assert "/c/default" == wizard.admin.get("/").headers["location"]

    wizard.connect_till()
    assert wizard.setups.standing("default").is_live, "a new consent does not stop what runs"
    assert {} == wizard.service.stopped()
    press(f"{DEFAULT}/customers", model="person_account", mode="till_to_crm")
    assert "till_to_crm" == wizard.setups.settings("default")["customers"]["mode"]
    assert "live" == wizard.setups.standing("default").next


def test_a_connection_keeps_the_account_that_it_remembers(wizard):
    wizard.connect()
    wizard.run("package")
    with wizard.console.actions.holding.connected("default", "preview"):
        pass  # From here on the state is bound to both.
    wizard.world.till_app.world.switches.set({"accounts_listed": 2, "token_names_account": False})
    wizard.connect_till()

    answer = wizard.admin.press(f"{DEFAULT}/lightspeed/account", account="190002")

    assert "belongs to Lightspeed account 190001" in answer.text
    assert "190001" == wizard.setups.settings("default")["lightspeed"]["account_id"]


def test_what_runs_goes_on_with_its_own_secrets_until_others_have_let_us_in(wizard):
    wizard.connect()
    before = {name: wizard.setups.unsealed("default", name) for name in wizard.sealed()}

    wizard.ask_till(client_secret="another")
    wizard.admin.get(wizard.allowed("lightspeed"))
    wizard.connect_crm(client_secret="another")
    wizard.admin.press(f"{DEFAULT}/salesforce/key")
    wizard.world.till_app.world.switches.set({"accounts_listed": 2, "token_names_account": False})
    wizard.connect_till()
    wizard.admin.press(f"{DEFAULT}/lightspeed/account", account="4711")

    assert before == {name: wizard.setups.unsealed("default", name) for name in before}


def test_a_secret_counts_for_the_client_that_it_was_entered_for(wizard):
    wizard.connect()

    asked = wizard.ask_till(client_secret="", client_id="another")
    same = wizard.ask_till(client_secret="")

    assert (422, 303) == (asked.status_code, same.status_code)


def test_a_connection_made_at_the_command_line_can_be_done_anew_here(tmp_path):
    made = Plant(tmp_path)
    try:
        admin = made.signed_in("admin")
        shown = admin.get("/set-up/default/lightspeed").text
        assert "Live" in admin.get("/set-up").text
        assert 'value="id"' in shown
        assert "secret" not in re.sub(r"client_secret|secret-[a-z]+|Client secret|client secret", "", shown)
        assert made.console.setups.standing("default").is_live
        assert "/c/default" == admin.get("/").headers["location"]
    finally:
        made.close()


@pytest.mark.parametrize(
    "draft_of_it",
    [
        pytest.param(None, id="no set-up was begun"),
        pytest.param("{}", id="an empty draft stands there"),
    ],
)
@pytest.mark.parametrize("side", ["lightspeed", "salesforce"])
def test_a_made_up_answer_leaves_a_live_connection_live(tmp_path, side, draft_of_it):
    made = Plant(tmp_path)
    try:
        if draft_of_it:
            (made.folder / "setup.json").write_text(draft_of_it)
        admin = made.signed_in("admin")

        answer = admin.get(f"/connected/{side}?state=default.made-up&code=any")

        assert 422 == answer.status_code
        assert bool(draft_of_it) == (made.folder / "setup.json").exists()
        assert made.console.setups.standing("default").is_live
        assert "/c/default" == admin.get("/").headers["location"]
        assert 409 == admin.press("/set-up/default/drop").status_code
        assert made.console.setups.is_written("default")
    finally:
        made.close()


def test_programs_are_told_how_far_a_set_up_is(wizard):
    wizard.begin()
    wizard.connect_till()

    (found,) = wizard.admin.get("/api/v1/set-ups").json()

    states = {step["name"]: step["state"] for step in found["steps"]}
    assert ("default", False, "done", "next", "closed") == (
        found["name"], found["is_live"], states["lightspeed"], states["salesforce"], states["package"],
    )  # fmt: skip


def test_a_further_connection_is_set_up_beside_the_first(wizard):
    wizard.connect()

    wizard.begin("north")
    wizard.connect_till("north")

    assert ["default", "north"] == [each.name for each in wizard.setups.all()]
    assert "lightspeed_refresh_token" in wizard.sealed("north")
    assert ["default"] == list(wizard.console.connections()), "it is none yet"
    assert "north" in wizard.admin.get("/set-up").text
