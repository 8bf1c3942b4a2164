# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a recovery plan says, as data. Keys, kinds and meanings are declared here and nowhere else."""

# Fields are declared by functions that do what dataclasses.field does.
# ruff: noqa: RUF009

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._notify.channel import TYPES
from .._notify.event import SEVERITIES
from .durations import INTERVALS
from .fields import choice, count, day, duration, flag, many, maybe, one, schedule, text, texts
from .words import STEPS

_Names = t.Tuple[str, ...]
_Seconds = t.Optional[float]

PROVIDERS = ("aws", "r2", "minio", "supabase", "generic", "directory", "managed")
ROLES = (
    "incident_commander",
    "technical",
    "database_administrator",
    "devops_lead",
    "on_call",
    "management",
    "support",
    "vendor",
)


@dataclass(frozen=True)
class Document:
    version: t.Optional[str] = text("The plan's own version.")
    owner: t.Optional[str] = text("Who keeps it true.")
    updated: t.Optional[str] = day("When it was last changed.")
    begun: t.Optional[str] = day("When it came into force; the first steps are due from then on.")
    next_review: t.Optional[str] = day("When it is to be read again.")


@dataclass(frozen=True)
class Region:
    name: t.Optional[str] = text("The provider's name of the region.")
    database: bool = flag("The live database is here.")
    replica: bool = flag("A replica of the database is here.")
    application: bool = flag("The application runs here, or can at once.")


@dataclass(frozen=True)
class Regions:
    primary: t.Optional[Region] = maybe("Where the platform runs.", Region)
    secondary: t.Optional[Region] = maybe("Where it runs when the primary region is lost.", Region)


@dataclass(frozen=True)
class Residency:
    allowed_regions: _Names = texts("The only regions in which data may lie.")


@dataclass(frozen=True)
class Objectives:
    rto_seconds: _Seconds = duration("How long a recovery may take.")
    rpo_seconds: _Seconds = duration("How much of the newest work may be lost.")


@dataclass(frozen=True)
class DataClass:
    name: str = text("The name of the class.", required=True)
    objectives: Objectives = one("Objectives of its own.", Objectives)
    covered_by: str = choice(
        "What they rest on: the source's `backup`, `versions` that the source keeps of itself, or a `replica`.",
        ("backup", "versions", "replica"),
        default="backup",
    )


@dataclass(frozen=True)
class Tier:
    schedule: str = schedule("When: a calendar event of systemd or the five fields of cron, in UTC.")
    keep: t.Optional[int] = count("How many sets of the tier are kept.")
    pruned_by: t.Optional[str] = choice(
        "What takes older sets away; `lifecycle` is an error, because such rules destroy sets.",
        ("prune", "lifecycle", "provider", "nobody"),
    )


@dataclass(frozen=True)
class Tiers:
    hourly: t.Optional[Tier] = maybe("Sets of an hour or less.", Tier)
    daily: t.Optional[Tier] = maybe("Sets of a day.", Tier)
    weekly: t.Optional[Tier] = maybe("Sets of a week.", Tier)
    monthly: t.Optional[Tier] = maybe("Sets of a month.", Tier)


@dataclass(frozen=True)
class Pitr:
    enabled: bool = flag("Any second within the window can be restored.")
    window_days: t.Optional[int] = count("How far back, in days.")


@dataclass(frozen=True)
class Source:
    name: str = text("The name of the source.", required=True)
    kind: str = choice("What it is.", ("postgresql", "supabase", "d1", "bucket"), required=True)
    objectives: Objectives = one("What a recovery has to reach.", Objectives)
    classes: t.Tuple[DataClass, ...] = many("Classes of its data with objectives of their own.", DataClass)
    tiers: Tiers = one("Its backups.", Tiers)
    pitr: Pitr = one("Recovery to a point in time.", Pitr)
    stores: _Names = texts("The stores that its backups go to, by name.")
    account: t.Optional[str] = text("Whose credentials own it; by default the provider of its kind.")
    size_bytes: t.Optional[int] = count("Its size.")
    asset: t.Optional[str] = text("Of a bucket: which of the assets it is.")
    files: _Names = texts("The assets that its rows refer to.")
    personal: bool = flag("It holds data of persons.")
    keep_at_most_seconds: _Seconds = duration("How long a backup of it may be kept at most.")


@dataclass(frozen=True)
class Store:
    name: str = text("The name of the store.", required=True)
    provider: str = choice(
        "Who keeps it; `managed` for backups that the database's own provider takes.", PROVIDERS, required=True
    )
    bucket: t.Optional[str] = text("Its bucket.")
    prefix: t.Optional[str] = text("Where in the bucket.")
    path: t.Optional[str] = text("Its directory.")
    region: t.Optional[str] = text("Its region.")
    account: t.Optional[str] = text("Whose credentials can delete it; by default the provider.")
    object_lock: bool = flag("What is in it cannot be deleted for a time.")
    encrypted: bool = flag("What is in it is encrypted.")
    copies: _Names = texts("Further stores that get the same sets, by name.")


@dataclass(frozen=True)
class Asset:
    name: str = text("The name that sources refer to.", required=True)
    bucket: str = text("The bucket in which the application keeps files.", required=True)
    provider: t.Optional[str] = choice("Who keeps it.", PROVIDERS)
    region: t.Optional[str] = text("Its region.")
    account: t.Optional[str] = text("Whose credentials own it; by default the provider.")
    replicated: bool = flag("The provider keeps several copies, which all lose what is deleted.")


@dataclass(frozen=True)
class Estimate:
    min: _Seconds = duration("When it goes well.")
    max: _Seconds = duration("When it does not.")


@dataclass(frozen=True)
class Scenario:
    name: str = text("The name of the scenario.", required=True)
    source: t.Optional[str] = text("The source that is lost; without it, every source.")
    estimate_seconds: Estimate = one("How long its recovery takes.", Estimate)
    method: t.Optional[str] = text("The method that recovers from it, by name.")
    destructive: bool = flag("Its recovery replaces what is live.")
    undo: t.Optional[str] = text("How that is taken back.")


@dataclass(frozen=True)
class Window:
    schedule: str = schedule("When it begins: a calendar event of systemd or the five fields of cron, in UTC.")
    length_seconds: _Seconds = duration("How long it lasts.")


@dataclass(frozen=True)
class Drill:
    scenario: str = text("The scenario that is rehearsed, by name.", required=True)
    every: str = choice("How often.", INTERVALS, required=True)
    last: t.Optional[str] = day("When it last ran.")
    window: t.Optional[Window] = maybe("The only time at which it may touch what is live.", Window)


@dataclass(frozen=True)
class FirstStep:
    name: str = text("What is done for the first time.", required=True)
    after_days: int = count("So many days after the plan came into force it is due.", required=True)
    done: t.Optional[str] = day("When it was done.")


@dataclass(frozen=True)
class Verification:
    name: str = text("The name of the verification.", required=True)
    every: t.Optional[str] = choice("How often.", INTERVALS)
    proves: str = choice(
        "What it shows: that a backup is there, can be read, or was restored.",
        ("presence", "readable", "restored"),
        required=True,
    )
    freshness: str = choice(
        "What the age of the newest backup is judged by.", ("backup", "application_rows"), default="backup"
    )
    method: t.Optional[str] = text("The method that does it, by name.")


@dataclass(frozen=True)
class Method:
    name: str = text("The name of the method.", required=True)
    kind: str = choice("What it is for.", ("backup", "restore", "failover", "verification"), required=True)
    steps: _Names = texts("What it does, in this order.", STEPS, required=True)
    schemas: _Names = texts("Of a backup: the only schemas that it holds.")
    counts: _Names = texts("Of a verification: the schemas whose tables it counts.")
    playbook: t.Optional[str] = text("The playbook that does it.")


@dataclass(frozen=True)
class Channel:
    name: str = text("The name of the channel.", required=True)
    type: str = choice("What it is.", TYPES, required=True)
    severities: _Names = texts("Only of these severities; all when empty.", SEVERITIES)
    events: _Names = texts("Only these events, such as `backup.failed` or `backup.*`; all when empty.")
    sources: _Names = texts("Only these sources, such as `school` or `school-*`; all when empty.")
    after_seconds: _Seconds = duration("Only what is unsolved after this time.", zero=True)
    fallback: t.Optional[str] = text("The channel that is used when this one fails, by name.")


@dataclass(frozen=True)
class Level:
    who: str = text("Who is called: a role of the contacts, or a name.", required=True)
    after_seconds: _Seconds = duration("When the level before has not solved it after this time.", zero=True)


@dataclass(frozen=True)
class Contact:
    role: str = choice("What for.", ROLES, required=True)
    name: t.Optional[str] = text("Who: a person, a team or a rota.")
    phone: t.Optional[str] = text("A number.")
    mail: t.Optional[str] = text("An address.")
    channel: t.Optional[str] = text("A room, a page or a service through which they are reached.")


@dataclass(frozen=True)
class Message:
    name: str = choice("When it is sent.", ("initial", "update", "resolved"), required=True)
    subject: t.Optional[str] = text("Its subject.")
    text: t.Optional[str] = text("Its text.")
    every_seconds: _Seconds = duration("How often it is repeated.")


@dataclass(frozen=True)
class Record:
    name: str = text("What is recorded: audit, drills, access and so on.", required=True)
    keep_seconds: _Seconds = duration("How long it is kept.")
    at_most_seconds: _Seconds = duration("How long it may be kept at most.")


@dataclass(frozen=True)
class Erasure:
    replayed: bool = flag("Who was erased since a backup was taken is erased again after a restore.")


@dataclass(frozen=True)
class Plan:
    """The whole document. Names refer to each other; the rules tell which lead nowhere."""

    version: int = count("The version of this format, 1.", required=True)
    platform: str = text("The platform that the plan is for.", required=True)
    document: Document = one("About the plan itself.", Document)
    regions: Regions = one("Where the platform runs.", Regions)
    residency: t.Optional[Residency] = maybe("Where data may lie, when that is restricted.", Residency)
    sources: t.Tuple[Source, ...] = many("What is backed up.", Source, required=True)
    stores: t.Tuple[Store, ...] = many("Where backups live.", Store)
    assets: t.Tuple[Asset, ...] = many("The buckets of the application.", Asset)
    scenarios: t.Tuple[Scenario, ...] = many("What may happen.", Scenario)
    methods: t.Tuple[Method, ...] = many("How things are done, step by step.", Method)
    verification: t.Tuple[Verification, ...] = many("How backups are proved.", Verification)
    drills: t.Tuple[Drill, ...] = many("What is rehearsed.", Drill)
    first_steps: t.Tuple[FirstStep, ...] = many("What is done once, while the plan is new.", FirstStep)
    channels: t.Tuple[Channel, ...] = many("Where messages go, without addresses and secrets.", Channel)
    escalation: t.Tuple[Level, ...] = many("Who is called, one after another.", Level)
    contacts: t.Tuple[Contact, ...] = many("Who is reached how.", Contact, unique=False)
    messages: t.Tuple[Message, ...] = many("What is told to users.", Message)
    records: t.Tuple[Record, ...] = many("What is kept as evidence.", Record)
    erasure: Erasure = one("What becomes of erased persons.", Erasure)
