# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recovery plan as data. Keys, kinds and meanings are declared in this file only."""

# Functions that replace dataclasses.field declare the fields.
# ruff: noqa: RUF009

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._core.severity import SEVERITIES
from .._notify.channel import TYPES
from .durations import INTERVALS
from .fields import count, day, duration, enum, flag, many, maybe, one, schedule, text, texts
from .steps import STEPS

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
    version: t.Optional[str] = text("Version of the plan.")
    owner: t.Optional[str] = text("Person or team that maintains the plan.")
    updated: t.Optional[str] = day("Date of the last change.")
    begun: t.Optional[str] = day("Date when the plan came into force; the first steps are due relative to it.")
    next_review: t.Optional[str] = day("Date of the next review.")


@dataclass(frozen=True)
class Region:
    name: t.Optional[str] = text("Name of the region at the provider.")
    database: bool = flag("The production database runs in this region.")
    replica: bool = flag("A replica of the database runs in this region.")
    application: bool = flag("The application runs in this region, or can be started in it immediately.")


@dataclass(frozen=True)
class Regions:
    primary: t.Optional[Region] = maybe("Region of normal operation.", Region)
    secondary: t.Optional[Region] = maybe("Region that is used if the primary region is lost.", Region)


@dataclass(frozen=True)
class Residency:
    allowed_regions: _Names = texts("The only regions in which data may be stored.")


@dataclass(frozen=True)
class Objectives:
    rto_seconds: _Seconds = duration("Maximum time of a recovery.")
    rpo_seconds: _Seconds = duration("Maximum age of the lost work.")


@dataclass(frozen=True)
class DataClass:
    name: str = text("Name of the class.", required=True)
    objectives: Objectives = one("Objectives of the class.", Objectives)
    covered_by: str = enum(
        "Origin of the recovery: `backup` of the source, `versions` that the source keeps itself, or a `replica`.",
        ("backup", "versions", "replica"),
        default="backup",
    )


@dataclass(frozen=True)
class Tier:
    schedule: str = schedule("Schedule: a calendar event of systemd or the five fields of cron, in UTC.")
    keep: t.Optional[int] = count("Number of sets of the tier to keep.")
    pruned_by: t.Optional[str] = enum(
        "Program that removes older sets; `lifecycle` is an error, because such rules destroy sets.",
        ("prune", "lifecycle", "provider", "nobody"),
    )


@dataclass(frozen=True)
class Tiers:
    hourly: t.Optional[Tier] = maybe("Sets of each hour or more often.", Tier)
    daily: t.Optional[Tier] = maybe("Sets of each day.", Tier)
    weekly: t.Optional[Tier] = maybe("Sets of each week.", Tier)
    monthly: t.Optional[Tier] = maybe("Sets of each month.", Tier)


@dataclass(frozen=True)
class Pitr:
    enabled: bool = flag("Every second within the window can be restored.")
    window_days: t.Optional[int] = count("Length of the window in days.")


@dataclass(frozen=True)
class Source:
    name: str = text("Name of the source.", required=True)
    kind: str = enum("Kind of the source.", ("postgresql", "supabase", "d1", "bucket"), required=True)
    objectives: Objectives = one("Objectives of a recovery.", Objectives)
    classes: t.Tuple[DataClass, ...] = many("Classes of its data with separate objectives.", DataClass)
    tiers: Tiers = one("Backups of the source.", Tiers)
    pitr: Pitr = one("Recovery to a point in time.", Pitr)
    stores: _Names = texts("Names of the stores of its backups.")
    account: t.Optional[str] = text("Account that owns the source; by default the provider of its kind.")
    size_bytes: t.Optional[int] = count("Size in bytes.")
    asset: t.Optional[str] = text("Asset of a source of kind bucket.")
    files: _Names = texts("Assets that its rows refer to.")
    personal: bool = flag("The source holds personal data.")
    keep_at_most_seconds: _Seconds = duration("Maximum age of its backups, as required by law.")


@dataclass(frozen=True)
class Store:
    name: str = text("Name of the store.", required=True)
    provider: str = enum(
        "Provider of the store; `managed` for backups that the provider of the database keeps.",
        PROVIDERS,
        required=True,
    )
    bucket: t.Optional[str] = text("Bucket of the store.")
    prefix: t.Optional[str] = text("Prefix in the bucket.")
    path: t.Optional[str] = text("Directory of the store.")
    region: t.Optional[str] = text("Region of the store.")
    account: t.Optional[str] = text("Account that can delete the store; by default the provider.")
    object_lock: bool = flag("Objects of the store are locked against deletion for a time.")
    encrypted: bool = flag("Objects of the store are encrypted.")
    copies: _Names = texts("Names of stores that get copies of the sets.")


@dataclass(frozen=True)
class Asset:
    name: str = text("Name that sources refer to.", required=True)
    bucket: str = text("Bucket in which the application keeps files.", required=True)
    provider: t.Optional[str] = enum("Provider of the bucket.", PROVIDERS)
    region: t.Optional[str] = text("Region of the bucket.")
    account: t.Optional[str] = text("Account that owns the bucket; by default the provider.")
    replicated: bool = flag("The provider keeps several copies. A deletion removes each of them.")


@dataclass(frozen=True)
class Estimate:
    min: _Seconds = duration("Shortest expected duration.")
    max: _Seconds = duration("Longest expected duration.")


@dataclass(frozen=True)
class Scenario:
    name: str = text("Name of the scenario.", required=True)
    source: t.Optional[str] = text("Lost source. If it is unset, every source is lost.")
    estimate_seconds: Estimate = one("Expected duration of the recovery.", Estimate)
    method: t.Optional[str] = text("Name of the recovery method.")
    destructive: bool = flag("The recovery replaces production data.")
    undo: t.Optional[str] = text("Rollback of the recovery.")


@dataclass(frozen=True)
class Window:
    schedule: str = schedule("Start of the window: a calendar event of systemd or the five fields of cron, in UTC.")
    length_seconds: _Seconds = duration("Length of the window.")


@dataclass(frozen=True)
class Drill:
    scenario: str = text("Name of the rehearsed scenario.", required=True)
    every: str = enum("Interval of the drill.", INTERVALS, required=True)
    last: t.Optional[str] = day("Date of the last run.")
    window: t.Optional[Window] = maybe("The only time at which the drill may affect production.", Window)


@dataclass(frozen=True)
class FirstStep:
    name: str = text("Name of the step.", required=True)
    after_days: int = count("Days after the plan came into force at which the step is due.", required=True)
    done: t.Optional[str] = day("Date when the step was completed.")


@dataclass(frozen=True)
class Verification:
    name: str = text("Name of the verification.", required=True)
    every: t.Optional[str] = enum("Interval of the verification.", INTERVALS)
    proves: str = enum(
        "Proof of the verification: a backup exists, can be read, or was restored.",
        ("presence", "readable", "restored"),
        required=True,
    )
    freshness: str = enum(
        "Data from which the age of the newest backup is computed.", ("backup", "application_rows"), default="backup"
    )
    method: t.Optional[str] = text("Name of the verification method.")


@dataclass(frozen=True)
class Method:
    name: str = text("Name of the method.", required=True)
    kind: str = enum("Purpose of the method.", ("backup", "restore", "failover", "verification"), required=True)
    steps: _Names = texts("Steps of the method, in order.", STEPS, required=True)
    schemas: _Names = texts("Schemas of a backup, if it does not hold every schema.")
    counts: _Names = texts("Schemas whose tables a verification counts.")
    playbook: t.Optional[str] = text("Playbook of the method.")


@dataclass(frozen=True)
class Channel:
    name: str = text("Name of the channel.", required=True)
    type: str = enum("Type of the channel.", TYPES, required=True)
    severities: _Names = texts("Accepted severities. If it is empty, every severity is accepted.", SEVERITIES)
    events: _Names = texts(
        "Accepted events, such as `backup.failed` or `backup.*`. If it is empty, every event is accepted."
    )
    sources: _Names = texts(
        "Accepted sources, such as `school` or `school-*`. If it is empty, every source is accepted."
    )
    after_seconds: _Seconds = duration("Time that an incident must last before it is sent to the channel.", zero=True)
    fallback: t.Optional[str] = text("Name of the channel that is used if this channel fails.")


@dataclass(frozen=True)
class Level:
    who: str = text("Role of the contacts, or name, of the person to call.", required=True)
    after_seconds: _Seconds = duration(
        "Time after which this level is called if the previous level did not respond.", zero=True
    )


@dataclass(frozen=True)
class Contact:
    role: str = enum("Role of the contact.", ROLES, required=True)
    name: t.Optional[str] = text("Person, team or rota.")
    phone: t.Optional[str] = text("A number.")
    mail: t.Optional[str] = text("Mail address.")
    channel: t.Optional[str] = text("Chat room, page or service to reach the contact.")


@dataclass(frozen=True)
class Message:
    name: str = enum("Occasion of the message.", ("initial", "update", "resolved"), required=True)
    subject: t.Optional[str] = text("Subject of the message.")
    text: t.Optional[str] = text("Text of the message.")
    every_seconds: _Seconds = duration("Interval of repetition.")


@dataclass(frozen=True)
class Record:
    name: str = text("Kind of records: audit, drills, access and so on.", required=True)
    keep_seconds: _Seconds = duration("Time that records are kept.")
    at_most_seconds: _Seconds = duration("Maximum time that records may be kept.")


@dataclass(frozen=True)
class Erasure:
    replayed: bool = flag("Erasures of personal data since the backup are repeated after a restore.")


@dataclass(frozen=True)
class Plan:
    """The complete document. Names refer to each other; rules report dangling names."""

    version: int = count("Version of this format, 1.", required=True)
    platform: str = text("Platform of the plan.", required=True)
    document: Document = one("Facts about the plan itself.", Document)
    regions: Regions = one("Regions of the platform.", Regions)
    residency: t.Optional[Residency] = maybe("Allowed regions of data, if they are restricted.", Residency)
    sources: t.Tuple[Source, ...] = many("Sources to back up.", Source, required=True)
    stores: t.Tuple[Store, ...] = many("Stores of backups.", Store)
    assets: t.Tuple[Asset, ...] = many("Buckets of the application.", Asset)
    scenarios: t.Tuple[Scenario, ...] = many("Incidents to recover from.", Scenario)
    methods: t.Tuple[Method, ...] = many("Procedures, step by step.", Method)
    verification: t.Tuple[Verification, ...] = many("Verifications of backups.", Verification)
    drills: t.Tuple[Drill, ...] = many("Rehearsals of scenarios.", Drill)
    first_steps: t.Tuple[FirstStep, ...] = many("One-time steps after the plan came into force.", FirstStep)
    channels: t.Tuple[Channel, ...] = many("Notification channels, without addresses and secrets.", Channel)
    escalation: t.Tuple[Level, ...] = many("Levels of escalation, in order.", Level)
    contacts: t.Tuple[Contact, ...] = many("Contacts of people and providers.", Contact, unique=False)
    messages: t.Tuple[Message, ...] = many("Prepared messages to users.", Message)
    records: t.Tuple[Record, ...] = many("Records that are kept as evidence.", Record)
    erasure: Erasure = one("Treatment of erased personal data.", Erasure)
