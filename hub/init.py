"""A new county: its directory, keys, configuration, first documents and store, all or nothing.

For: `county init`, and what every other command opens afterwards (`open_county`).
May not: change an existing county; need the network.
Manual: docs/operating/hub.md, "A new county".  Spec: docs/protocol/trust.md.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from conflict.ledger.meta import document_versions
from conflict.ledger.store import Store, open_store
from hub import broker_accounts, calendar_source, enrolment, notices, recovery, schema
from hub.areas import load_areas
from hub.catalogue import load_items
from hub.config import (
    BLIND_KEY_NAME,
    CARD_NAME,
    DEFAULT_BROKER,
    HUB_KEY_NAME,
    RESTORED_NAME,
    ROOT_KEY_NAME,
    Config,
    read_config,
    read_keys,
    read_secret,
    write_config,
    write_secret,
)
from hub.documents import Shelf
from hub.errors import DirectoryNotEmpty
from hub.state import new_epoch
from hub.upward import schema as upward_schema
from protocol import keys as device_keys
from protocol import topics
from protocol.carriers.durable import PUBLIC, sync_directory, write_durably
from protocol.errors import BadConfig, InputError, RemoteProtocolError
from protocol.keys import DeviceKeys
from protocol.roster import Device, Office, Roster
from protocol.suites import SEED_BYTES
from protocol.trust import HubCard, HubCertificate, Trust, sign_certificate

HUB_PASSWORD_NAME = "keys/broker.password"
BROKER_SCHEMES = ("mqtt", "mqtts")


@dataclass(frozen=True, slots=True)
class Made:
    """What `init_county` made, for the person who asked."""

    county: str
    name: str
    offices: int
    items: int
    calendar_years: tuple[int, ...]
    root_mark: bytes


@dataclass(frozen=True, slots=True)
class County:
    """An opened county. The caller closes the store."""

    directory: Path
    config: Config
    keys: DeviceKeys
    card: HubCard
    blind_key: bytes
    store: Store
    shelf: Shelf


def init_county(
    directory: Path,
    *,
    areas: Path,
    items: Path,
    county: str,
    broker: str = DEFAULT_BROKER,
    database: str = "",
    now_ms: int,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> Made:
    """Make a new county in `directory`, which must not exist or be empty.

    Everything is made beside it under another name and takes its name at the end, so a failure leaves nothing.

    Args:    broker: where devices find the county's broker; codes and cards carry it. database: a PostgreSQL URL for
             an empty database, or "" for a SQLite file in the directory.
    Raises:  DirectoryNotEmpty; BadTable and InputError for the files, the county code or the broker's address;
             StoreError.
    """
    _check_broker(broker)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DirectoryNotEmpty(
            f"{directory} is not an empty directory; a new county needs one of its own.",
            f"{directory} 不是空目录，新建县级中心需要一个空目录。",
        )
    offices = load_areas(areas, county)
    loaded = load_items(items)
    name = next(office.name for office in offices if office.code == county)
    directory.parent.mkdir(parents=True, exist_ok=True)
    building = directory.with_name(f".{directory.name}.{os.getpid()}.new")
    building.mkdir(mode=0o700)
    try:
        trust, keys = _write_keys(building, county, name, broker, database, now_ms, random_bytes)
        config = read_config(building)
        years = calendar_source.available_years()
        with open_store(config.store_place(building), create=True) as store:
            prepare_store(store)
            shelf = Shelf(trust, keys)
            with store.write() as tx:
                if document_versions(tx):
                    raise DirectoryNotEmpty(
                        "The database already holds a county.", "该数据库中已有一个县级中心，请使用空数据库。"
                    )
                new_epoch(tx, random_bytes(8), now_ms=now_ms)
                shelf.change_roster(tx, keys, lambda roster: _fill(roster, offices, keys, now_ms), now_ms=now_ms)
                shelf.publish_catalogue(tx, keys, loaded, now_ms=now_ms)
                shelf.publish_calendar(tx, keys, calendar_source.publishable(years), now_ms=now_ms)
        if directory.exists():
            directory.rmdir()
        building.rename(directory)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    sync_directory(directory.parent)
    inside = sum(office.code.startswith(county) for office in offices)
    return Made(county, name, inside, len(loaded), tuple(years), read_card(directory).fingerprint)


def open_county(directory: Path, *, check: bool = False) -> County:
    """The county in `directory`, its store opened and its published documents read.

    Args:    check: also run the store's quick integrity check (reads the whole file).
    Raises:  NotACounty, BadConfig, StoreError.
    """
    config = read_config(directory)
    keys = read_keys(directory)
    card = read_card(directory)
    blind_key = read_secret(directory, BLIND_KEY_NAME)
    store = open_store(config.store_place(directory), check=check)
    try:
        prepare_store(store)
        shelf = Shelf(Trust.of(card), keys)
        with store.read() as tx:
            shelf.refresh(tx)
    except BaseException:
        store.close()
        raise
    return County(directory, config, keys, card, blind_key, store, shelf)


def settle_restored(county: County, *, now_ms: int, random_bytes: Callable[[int], bytes] = os.urandom) -> bool:
    """If the directory was put back from a backup, begin a new epoch, tell a person, and take the mark away.

    Positions that devices hold may lie beyond what this store knows; in a new epoch they start over and nothing is missed.
    Version numbers of documents jump, and devices are asked for those that were lost (hub/recovery.py).
    """
    mark = county.directory / RESTORED_NAME
    if not mark.exists():
        return False
    with county.store.write() as tx:
        void, void_zh = enrolment.said_void(recovery.put_back(tx, random_bytes(8), now_ms=now_ms, look_back=0))
        notices.tell(
            tx,
            code="hub_restored",
            about=county.keys.incarnation.hex(),
            office=county.config.county,
            text="The hub was restored from a backup; devices load their streams anew and offer again what it lost, "
            f"catalogue, calendar and roster too. Until then devices revoked since the backup are trusted.{void}",
            text_zh="县中心已从备份恢复；各设备将重新下载并补报丢失的条目，事项目录、日历和名册也会交回。"
            f"在此之前，备份之后注销的设备仍被信任。{void_zh}",
            now_ms=now_ms,
        )
    mark.unlink()
    sync_directory(county.directory)
    return True


def prepare_store(store: Store) -> None:
    """Have all tables of the hub in this program's version."""
    store.ensure(schema.COMPONENT)
    store.ensure(upward_schema.COMPONENT)


def _check_broker(broker: str) -> None:
    try:
        parts = urlsplit(broker)
        fine = parts.scheme in BROKER_SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine:
        raise InputError(
            f"'{broker}' is not a broker's address such as {DEFAULT_BROKER}.",
            f"“{broker}”不是消息服务器地址，应如 {DEFAULT_BROKER}。",
        )


def _write_keys(
    building: Path,
    county: str,
    name: str,
    broker: str,
    database: str,
    now_ms: int,
    random_bytes: Callable[[int], bytes],
) -> tuple[Trust, DeviceKeys]:
    root = device_keys.generate(county, county, "hub", random_bytes)
    keys = device_keys.generate(county, county, "hub", random_bytes)
    certificate = HubCertificate(county, 1, keys.sign_public, keys.seal_public, keys.suite, now_ms)
    card = HubCard(county, name, broker, root.sign_public, sign_certificate(certificate, root_seed=root.sign_seed))
    write_secret(building, ROOT_KEY_NAME, root.to_bytes())
    write_secret(building, HUB_KEY_NAME, keys.to_bytes())
    write_secret(building, BLIND_KEY_NAME, random_bytes(SEED_BYTES))
    password = broker_accounts.new_password()
    write_secret(building, HUB_PASSWORD_NAME, password.encode())
    broker_accounts.write_password(building, topics.HUB_USER, password)
    write_durably(building / CARD_NAME, card.to_bytes(), mode=PUBLIC)
    write_config(building, Config(county, name, broker, database, keys.incarnation.hex(), root.sign_public.hex()))
    return Trust.of(card), keys


def _fill(roster: Roster, offices: list[Office], keys: DeviceKeys, now_ms: int) -> None:
    for office in offices:
        roster.put_office(office)
    roster.put_device(
        Device(keys.incarnation, keys.office, "hub", keys.sign_public, keys.seal_public, keys.suite, now_ms)
    )


def read_card(directory: Path) -> HubCard:
    """The county's card. Raises BadConfig if it is missing or damaged."""
    try:
        return HubCard.from_bytes(read_secret(directory, CARD_NAME))
    except RemoteProtocolError as error:
        raise BadConfig(f"The hub card {CARD_NAME} is damaged.", f"中心名片 {CARD_NAME} 已损坏。") from error
