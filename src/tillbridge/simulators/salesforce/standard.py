"""The standard objects of a new org, as far as a retail sync meets them (fact sheet §7).

One line a field: `Name type length flags`. `address X` stands for the components
of a compound address. Lengths follow fact sheet §7.1; a client reads them from
describe.
"""

# ruff: noqa: E501  The tables read best with one line a row.

from __future__ import annotations

from dataclasses import replace

from tillbridge.simulators.salesforce.schema import Field, SObject

# flags: ! required on create · u unique · x external id · i idLookup · r read-only · c create only · * restricted
# lookups: `AccountId ref Account>Account/Contacts` = relationship Account to object Account, child name Contacts.
OBJECTS: dict[str, tuple[str, str, str]] = {
    "Account": (
        "001",
        "Accounts",
        """
        Name string 255 !|AccountNumber string 40|Type picklist 255 Prospect,Customer - Direct,Customer - Channel,Other
        ParentId ref Parent>Account/ChildAccounts|address Billing|address Shipping|Phone phone 40|Fax phone 40
        Website url 255|Industry picklist 255 Apparel,Consulting,Retail,Other|AnnualRevenue currency 18,0
        NumberOfEmployees int 8|Description textarea 32000|Rating picklist 255 Hot,Warm,Cold|Site string 80
        AccountSource picklist 255 Web,Phone Inquiry,Partner Referral,Other|LastActivityDate date r
        MasterRecordId ref MasterRecord>Account r
        """,
    ),
    "Contact": (
        "003",
        "Contacts",
        """
        Salutation picklist 40 Mr.,Ms.,Mrs.,Dr.,Prof.|FirstName string 40|LastName string 80 !|Name string 121 r
        AccountId ref Account>Account/Contacts|address Mailing|address Other|Phone phone 40|Fax phone 40
        MobilePhone phone 40|HomePhone phone 40|OtherPhone phone 40|AssistantPhone phone 40
        ReportsToId ref ReportsTo>Contact/ReportsToContacts|Email email 80 i|Title string 128|Department string 80
        AssistantName string 40|LeadSource picklist 255 Web,Phone Inquiry,Partner Referral,Other|Birthdate date
        Description textarea 32000|HasOptedOutOfEmail boolean|HasOptedOutOfFax boolean|DoNotCall boolean
        LastActivityDate date r|MasterRecordId ref MasterRecord>Contact r
        """,
    ),
    "Lead": (
        "00Q",
        "Leads",
        """
        Salutation picklist 40 Mr.,Ms.,Mrs.,Dr.,Prof.|FirstName string 40|LastName string 80 !|Name string 121 r
        Title string 128|Company string 255 !|address -|Phone phone 40|MobilePhone phone 40|Fax phone 40
        Email email 80 i|Website url 255|Description textarea 32000
        LeadSource picklist 255 Web,Phone Inquiry,Partner Referral,Other
        Status picklist 255 Open - Not Contacted,Working - Contacted,Closed - Converted,Closed - Not Converted
        Industry picklist 255 Apparel,Consulting,Retail,Other|Rating picklist 255 Hot,Warm,Cold
        AnnualRevenue currency 18,0|NumberOfEmployees int 8|HasOptedOutOfEmail boolean|DoNotCall boolean
        IsConverted boolean r|ConvertedDate date r|ConvertedAccountId ref ConvertedAccount>Account r
        ConvertedContactId ref ConvertedContact>Contact r|ConvertedOpportunityId ref ConvertedOpportunity>Opportunity r
        MasterRecordId ref MasterRecord>Lead r
        """,
    ),
    "Product2": (
        "01t",
        "Products",
        """
        Name string 255 !|ProductCode string 255|Description textarea 4000|IsActive boolean
        Family picklist 255 None|StockKeepingUnit string 180|DisplayUrl url 1000|QuantityUnitOfMeasure picklist 255 Each
        """,
    ),
    "Pricebook2": (
        "01s",
        "Price Books",
        "Name string 255 !|IsActive boolean|IsStandard boolean r|Description string 255",
    ),
    "PricebookEntry": (
        "01u",
        "Price Book Entries",
        """
        Name string 255 r|Pricebook2Id ref Pricebook2>Pricebook2/PricebookEntries !c
        Product2Id ref Product2>Product2/PricebookEntries !c
        UnitPrice currency 18,2 !|IsActive boolean|UseStandardPrice boolean|ProductCode string 255 r
        """,
    ),
    "Opportunity": (
        "006",
        "Opportunities",
        """
        Name string 120 !|AccountId ref Account>Account/Opportunities|StageName picklist 255 ! Prospecting,Closed Won,Closed Lost
        CloseDate date !|Amount currency 18,2|Description textarea 32000|Type picklist 255 New Business,Existing Business
        Pricebook2Id ref Pricebook2>Pricebook2/Opportunities|LeadSource picklist 255 Web,Phone Inquiry,Other|IsWon boolean r
        IsClosed boolean r|Probability percent 3,0|NextStep string 255|ContactId ref Contact>Contact/Opportunities c
        CampaignId ref Campaign>Campaign/Opportunities
        """,
    ),
    "OpportunityLineItem": (
        "00k",
        "Opportunity Products",
        """
        OpportunityId md Opportunity>Opportunity/OpportunityLineItems !c
        PricebookEntryId ref PricebookEntry>PricebookEntry/OpportunityLineItems c
        Product2Id ref Product2>Product2/OpportunityLineItems c|Name string 376 r|Quantity double 12,2 !
        UnitPrice currency 18,2|TotalPrice currency 18,2|Description string 255|ServiceDate date
        """,
    ),
    "Campaign": (
        "701",
        "Campaigns",
        "Name string 80 !|IsActive boolean|Type picklist 255 Email,Event|StartDate date|EndDate date",
    ),
    "CampaignMember": (
        "00v",
        "Campaign Members",
        """
        CampaignId ref Campaign>Campaign/CampaignMembers !c|LeadId ref Lead>Lead/CampaignMembers
        ContactId ref Contact>Contact/CampaignMembers|Status picklist 40 Sent,Responded
        """,
    ),
    "Case": (
        "500",
        "Cases",
        """
        CaseNumber autonumber|AccountId ref Account>Account/Cases|ContactId ref Contact>Contact/Cases|Subject string 255
        Description textarea 32000|Status picklist 255 New,Working,Closed|Origin picklist 255 Phone,Email,Web
        """,
    ),
    "Task": (
        "00T",
        "Tasks",
        """
        Subject string 255|Status picklist 255 Not Started,Completed|Priority picklist 255 High,Normal,Low|ActivityDate date
        WhoId ref Who>Contact,Lead/Tasks|WhatId ref What>Account,Opportunity,Case,Campaign/Tasks|Description textarea 32000
        """,
    ),
    "Asset": (
        "02i",
        "Assets",
        """
        Name string 255 !|AccountId ref Account>Account/Assets|ContactId ref Contact>Contact/Assets
        Product2Id ref Product2>Product2/Assets|SerialNumber string 80|PurchaseDate date|Price currency 18,2|Quantity double 12,2
        Status picklist 255 Purchased,Shipped,Installed,Registered,Obsolete|Description textarea 32000
        """,
    ),
    "User": (
        "005",
        "Users",
        """
        Username string 80 !|FirstName string 40|LastName string 80 !|Name string 121 r|Email email 128 !|Alias string 8
        IsActive boolean|ProfileId ref Profile>Profile/Users|UserType picklist 40 Standard|TimeZoneSidKey picklist 40 GMT
        LocaleSidKey picklist 40 en_US|LanguageLocaleKey picklist 40 en_US
        """,
    ),
    "Group": ("00G", "Groups", "Name string 40 !|DeveloperName string 80|Type picklist 40 Regular,Queue"),
    "Profile": ("00e", "Profiles", "Name string 255 r|UserLicenseId string 18 r"),
    "RecordType": (
        "012",
        "Record Types",
        """
        Name string 80 !|DeveloperName string 80 !|SobjectType picklist 40 !|IsActive boolean|IsPersonType boolean r
        Description string 255
        """,
    ),
    "Organization": (
        "00D",
        "Organizations",
        """
        Name string 80|OrganizationType picklist 40 Enterprise Edition,Developer Edition,Professional Edition
        IsSandbox boolean r|InstanceName string 5 r|TimeZoneSidKey picklist 40 GMT|DefaultLocaleSidKey picklist 40 en_US
        LanguageLocaleKey picklist 40 en_US|NamespacePrefix string 15 r
        """,
    ),
    "PermissionSet": (
        "0PS",
        "Permission Sets",
        "Name string 80 !|Label string 80 !|ProfileId ref Profile>Profile/PermissionSets r|IsOwnedByProfile boolean r|IsCustom boolean r",
    ),
    "PermissionSetAssignment": (
        "0Pa",
        "Permission Set Assignments",
        """
        AssigneeId ref Assignee>User/PermissionSetAssignments !c
        PermissionSetId ref PermissionSet>PermissionSet/Assignments !c
        """,
    ),
    "ObjectPermissions": (
        "110",
        "Object Permissions",
        """
        ParentId ref Parent>PermissionSet/ObjectPerms !|SobjectType picklist 40 !|PermissionsRead boolean
        PermissionsCreate boolean|PermissionsEdit boolean|PermissionsDelete boolean|PermissionsViewAllRecords boolean
        PermissionsModifyAllRecords boolean
        """,
    ),
    "FieldPermissions": (
        "01k",
        "Field Permissions",
        """
        ParentId ref Parent>PermissionSet/FieldPerms !|SobjectType picklist 40 !|Field picklist 255 !
        PermissionsRead boolean|PermissionsEdit boolean
        """,
    ),
    "CurrencyType": (
        "01L",
        "Currencies",
        "IsoCode picklist 3 !|ConversionRate double 18,6 !|DecimalPlaces int 1|IsActive boolean|IsCorporate boolean r",
    ),
}
# Objects that nobody owns: they belong to the org, or to a parent.
OWNERLESS = frozenset(
    {
        "Product2", "Pricebook2", "PricebookEntry", "OpportunityLineItem", "CampaignMember", "User", "Group", "Profile",
        "RecordType", "Organization", "PermissionSet", "PermissionSetAssignment", "ObjectPermissions", "FieldPermissions",
        "CurrencyType",
    }
)  # fmt: skip
# Only an org with more than one currency has this object (fact sheet §7.3).
MULTI_CURRENCY_ONLY = frozenset({"CurrencyType"})
_DEFAULTS = {
    ("Lead", "Status"): "Open - Not Contacted",
    ("Case", "Status"): "New",
    ("Task", "Status"): "Not Started",
    ("Task", "Priority"): "Normal",
    ("CampaignMember", "Status"): "Sent",
    ("User", "IsActive"): True,
    ("PermissionSet", "IsCustom"): True,
}
_LABELS = {"Product2": "Product", "Pricebook2": "Price Book", "OpportunityLineItem": "Opportunity Product"}
# Contact fields that show on a person account, with their names there (fact sheet §7.1).
PERSON_FIELDS: dict[str, str] = {
    **{name: name for name in ("FirstName", "LastName", "Salutation")},
    **{
        name: f"Person{name}"
        for name in (
            "Email", "MobilePhone", "HomePhone", "OtherPhone", "AssistantPhone", "Birthdate", "Title", "Department",
            "AssistantName", "LeadSource", "HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall",
        )
    },
    **{
        f"{kind}{part}": f"Person{kind}{part}"
        for kind in ("Mailing", "Other")
        for part in ("Street", "City", "State", "PostalCode", "Country", "StateCode", "CountryCode", "Address")
    },
    "MiddleName": "MiddleName",
    "Suffix": "Suffix",
}  # fmt: skip
COUNTRIES = {
    "US": "United States", "NL": "Netherlands", "BE": "Belgium", "DE": "Germany", "FR": "France", "GB": "United Kingdom",
    "JP": "Japan", "AU": "Australia", "CA": "Canada", "CH": "Switzerland", "AT": "Austria", "LU": "Luxembourg",
    "ES": "Spain", "IT": "Italy", "IE": "Ireland", "NZ": "New Zealand",
}  # fmt: skip
STATES = {
    "US": {
        "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
        "CT": "Connecticut", "DE": "Delaware", "DC": "District of Columbia", "FL": "Florida", "GA": "Georgia",
        "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky",
        "LA": "Louisiana", "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota",
        "MS": "Mississippi", "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire",
        "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota",
        "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island",
        "SC": "South Carolina", "SD": "South Dakota", "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont",
        "VA": "Virginia", "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
    },
    "AU": {
        "NSW": "New South Wales", "VIC": "Victoria", "QLD": "Queensland", "WA": "Western Australia",
        "SA": "South Australia", "TAS": "Tasmania", "ACT": "Australian Capital Territory", "NT": "Northern Territory",
    },
    "CA": {
        "AB": "Alberta", "BC": "British Columbia", "MB": "Manitoba", "NB": "New Brunswick", "NS": "Nova Scotia",
        "ON": "Ontario", "PE": "Prince Edward Island", "QC": "Quebec", "SK": "Saskatchewan",
    },
}  # fmt: skip


def objects() -> list[SObject]:
    """Return fresh standard objects of an org with one currency and no person accounts."""
    return [_object(name) for name in OBJECTS]


def _object(name: str) -> SObject:
    prefix, plural, lines = OBJECTS[name]
    sobject = SObject(name, _LABELS.get(name, name), prefix, label_plural=plural, owned=name not in OWNERLESS)
    for spec in lines.replace("\n", "|").split("|"):
        for field in _fields(spec.split()) if spec.strip() else ():
            field.default = _DEFAULTS.get((name, field.name), field.default)
            field.defaulted = field.default is not None
            sobject.fields[field.name] = field
    return sobject


def _fields(words: list[str]) -> list[Field]:
    match words:
        case ["address", prefix]:
            return address("" if prefix == "-" else prefix)
        case [name, "ref" | "md" as kind, target, *flags]:
            return [_lookup(name, target, "".join(flags), master=kind == "md")]
        case [name, "autonumber"]:
            return [Field(name, "string", name, 30, createable=False, updateable=False, auto_number=True)]
        case [name, kind, *rest]:
            return [_plain(name, kind, rest)]
    raise AssertionError(words)


def _plain(name: str, kind: str, rest: list[str]) -> Field:
    size = rest.pop(0) if rest and rest[0][0].isdigit() else ""
    flags = rest.pop(0) if rest and set(rest[0]) <= set("!rci") else ""
    field = Field(name, kind, name)
    if "," in size:
        field.precision, field.scale = (int(part) for part in size.split(","))
    elif kind == "int":
        field.precision = int(size or 8)
    else:
        field.length = int(size or 0)
    if kind == "boolean":
        field.default, field.defaulted = False, True
    field.values = " ".join(rest).split(",") if rest else []
    return _flagged(field, flags)


def _lookup(name: str, target: str, flags: str, *, master: bool) -> Field:
    relationship, _, rest = target.partition(">")
    objects_named, _, children = rest.partition("/")
    field = Field(name, "reference", name, 18, relationship=relationship, child_relationship=children)
    field.reference_to, field.master_detail = objects_named.split(","), master
    return _flagged(field, flags)


def _flagged(field: Field, flags: str) -> Field:
    field.required = "!" in flags
    field.id_lookup = "i" in flags
    if "r" in flags:
        field.createable = field.updateable = False
    if "c" in flags:
        field.updateable = False
    return field


def address(prefix: str) -> list[Field]:
    """Return the components of an address and the read-only compound over them."""
    compound = f"{prefix}Address"
    parts = [
        Field(f"{prefix}{part}", kind, f"{prefix} {part}".strip(), length, compound=compound)
        for part, kind, length in (
            ("Street", "textarea", 255),
            ("City", "string", 40),
            ("State", "string", 80),
            ("PostalCode", "string", 20),
            ("Country", "string", 80),
        )
    ]
    return [*parts, Field(compound, "address", compound, createable=False, updateable=False)]


def system_fields(sobject: SObject) -> list[Field]:
    """Return the fields every object has, for those the object does not declare itself."""
    fixed = {"createable": False, "updateable": False, "always_visible": True, "defaulted": True}

    def user(name: str, relationship: str) -> Field:
        return Field(name, "reference", name, 18, reference_to=["User"], relationship=relationship, **fixed)  # type: ignore[arg-type]

    fields = [
        Field("Id", "id", "Record ID", 18, id_lookup=True, case_sensitive=True, **fixed),  # type: ignore[arg-type]
        Field("IsDeleted", "boolean", "Deleted", default=False, **fixed),  # type: ignore[arg-type]
        Field("CreatedDate", "datetime", "Created Date", **fixed),  # type: ignore[arg-type]
        user("CreatedById", "CreatedBy"),
        Field("LastModifiedDate", "datetime", "Last Modified Date", **fixed),  # type: ignore[arg-type]
        user("LastModifiedById", "LastModifiedBy"),
        Field("SystemModstamp", "datetime", "System Modstamp", **fixed),  # type: ignore[arg-type]
    ]
    if sobject.owned:
        owner = Field(
            "OwnerId", "reference", "Owner ID", 18, reference_to=["User", "Group"], relationship="Owner"
        )
        fields.append(replace(owner, always_visible=True, defaulted=True))
    if sobject.custom and "Name" not in sobject.fields:
        name = Field(
            "Name",
            "string",
            "Name",
            80,
            always_visible=True,
            id_lookup=True,
            auto_number=sobject.name_autonumber,
        )
        fields.append(
            replace(name, createable=not name.auto_number, updateable=not name.auto_number, defaulted=True)
        )
    return [field for field in fields if field.name not in sobject.fields]


def person_fields(contact: SObject) -> list[Field]:
    """Return the fields that enabling person accounts adds to Account (fact sheet §7.1)."""
    shown = [
        person_field(field, PERSON_FIELDS[field.name])
        for field in contact.fields.values()
        if field.name in PERSON_FIELDS
    ]
    return [
        *shown,
        Field(
            "IsPersonAccount",
            "boolean",
            "Is Person Account",
            createable=False,
            updateable=False,
            default=False,
        ),
        Field(
            "PersonContactId",
            "reference",
            "Contact ID",
            18,
            createable=False,
            updateable=False,
            reference_to=["Contact"],
            relationship="PersonContact",
        ),
    ]


def person_field(field: Field, name: str) -> Field:
    """Return a Contact field as Account shows it."""
    compound = PERSON_FIELDS.get(field.compound, field.compound)
    # Required for persons only: the rule stands with the person accounts, not on the field.
    relationship = (
        f"{field.relationship[:-3]}__pr" if field.relationship.endswith("__r") else field.relationship
    )
    return replace(
        field, name=name, required=False, person_of=field.name, compound=compound, relationship=relationship,
        child_relationship="", external_id=False, unique=False, id_lookup=field.type == "email",
    )  # fmt: skip


def record_type_field() -> Field:
    """Return the lookup that objects with record types have."""
    return Field(
        "RecordTypeId", "reference", "Record Type ID", 18,
        reference_to=["RecordType"], relationship="RecordType", defaulted=True,
    )  # fmt: skip


def currency_field(codes: list[str]) -> Field:
    """Return the field that every object has once there is more than one currency."""
    return Field(
        "CurrencyIsoCode",
        "picklist",
        "Currency",
        3,
        restricted=True,
        values=codes,
        default=codes[0],
        defaulted=True,
    )


def code_fields(prefix: str) -> list[Field]:
    """Return the two picklists that state and country picklists add to an address."""
    compound = f"{prefix}Address"
    codes = sorted({code for states in STATES.values() for code in states})
    return [
        Field(f"{prefix}StateCode", "picklist", f"{prefix} State Code", 10, values=codes, compound=compound),
        Field(
            f"{prefix}CountryCode",
            "picklist",
            f"{prefix} Country Code",
            10,
            values=sorted(COUNTRIES),
            compound=compound,
        ),
    ]


def object_named(name: str) -> SObject:
    """Return one fresh standard object."""
    return _object(name)
