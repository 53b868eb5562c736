"""`liandong county`: making a county, giving out enrolment codes, admitting and revoking devices.

For: what an administrator does once per county or per device.
May not: keep a code; sign anything by itself (hub/ does).
Manual: docs/operating/commands.md, "county".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops import output
from ops.cli.options import HubDir, Json, StaffName
from ops.clock import county_clock, iso_text, wall_clock
from protocol.errors import InputError

if TYPE_CHECKING:
    from hub.init import County

app = typer.Typer(no_args_is_help=True, help="A county: set-up, codes, devices. 县级管理")
VALID_HOURS = 7 * 24
STAFF = "administrator"  # who is named in the hub's own records where nobody said


@contextmanager
def county_open(directory: Path) -> Iterator[County]:
    """The county in `directory`; its store is closed at the end."""
    from hub.init import open_county

    opened = open_county(directory)
    try:
        yield opened
    finally:
        opened.store.close()


@app.command()
def init(
    directory: HubDir,
    areas: Annotated[Path, typer.Option("--areas", help="CSV of the area tree: code,name,parent_code,level")],
    items: Annotated[Path, typer.Option("--items", help="CSV of the service items. 事项清单")],
    county: Annotated[str, typer.Option("--county", help="Code of the county, six digits. 县代码")],
    broker: Annotated[
        str | None, typer.Option("--broker", help="Where devices find the broker; mqtt://127.0.0.1:1883 unless named.")
    ] = None,
    database: Annotated[
        str, typer.Option("--database", help="postgresql:// URL of an empty database; a SQLite file unless named.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Make a new county: root and hub keys, roster, catalogue, calendar, hub store. 新建县级中心"""
    from hub.config import DEFAULT_BROKER
    from hub.init import init_county
    from protocol.trust import spoken

    made = init_county(
        directory,
        areas=areas,
        items=items,
        county=county,
        broker=broker or DEFAULT_BROKER,
        database=database,
        now_ms=wall_clock()(),
    )
    mark = spoken(made.root_mark)
    data = {
        "county": made.county,
        "name": made.name,
        "offices": made.offices,
        "items": made.items,
        "calendar_years": list(made.calendar_years),
        "broker": broker or DEFAULT_BROKER,
        "fingerprint": mark,
    }
    years, root_key = ", ".join(map(str, made.calendar_years[-2:])), directory / "keys" / "root.key"
    text = output.say(
        f"{made.county} {made.name}: {made.offices} offices, {made.items} items, calendar of {years} and before.\n"
        f"Root fingerprint: {mark}\nKeep {root_key} off this machine as soon as you can.",
        f"{made.county} {made.name}：{made.offices} 个机构，{made.items} 个事项，日历至 {years}。\n"
        f"根指纹：{mark}\n请尽快将根密钥 {root_key} 移至离线介质。",
    )
    output.show(data, as_json=as_json, text=text)


@app.command()
def enrol(
    directory: HubDir,
    office: Annotated[str, typer.Option("--office", help="Code of the office. 机构代码")],
    hours: Annotated[
        int, typer.Option("--hours", help="How long the code may be used.", min=1, max=24 * 90)
    ] = VALID_HOURS,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """A one-time code for one device of an office. 生成一次性入网码"""
    from hub.enrolment import make_code, write_accounts

    with county_open(directory) as county:
        now_ms = county_clock(county.store)()
        with county.store.write() as tx:
            county.shelf.refresh(tx)
            made = make_code(
                tx,
                county.config,
                county.shelf.roster,
                office,
                staff=staff or STAFF,
                now_ms=now_ms,
                random_bytes=os.urandom,
                valid_ms=hours * 3_600_000,
            )
        write_accounts(county.directory, ((made.user, made.password),))
    data = {
        "code": made.code.to_text(),
        "expires_at": iso_text(made.expires_ms),
        "office": office,
        "county": county.config.county,
        "broker": county.config.broker,
    }
    text = output.say(
        f"{data['code']}\nFor {office}, once, until {data['expires_at']}.",
        f"{data['code']}\n供 {office} 使用一次，{data['expires_at']} 前有效。",
    )
    output.show(data, as_json=as_json, text=text)


@app.command()
def card(
    directory: HubDir,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write the card for a medium. 输出文件")] = None,
    as_json: Json = False,
) -> None:
    """The hub card: what a device must know of its county; public. 中心名片"""
    from hub.config import CARD_NAME
    from protocol.carriers.durable import PUBLIC, write_durably
    from protocol.trust import spoken

    with county_open(directory) as county:
        found = county.card
    place = directory / CARD_NAME
    if out is not None:
        write_durably(out, found.to_bytes(), mode=PUBLIC)
        place = out
    mark = spoken(found.fingerprint)
    data = {"county": found.county, "name": found.name, "broker": found.broker, "fingerprint": mark, "file": place}
    said = output.say("Fingerprint", "核对指纹")
    output.show(data, as_json=as_json, text=f"{found.county} {found.name}, {found.broker}\n{place}\n{said}: {mark}")


@app.command()
def admit(
    directory: HubDir,
    request: Annotated[Path, typer.Option("--request", help="File that `edge join --request` wrote.")],
    answer: Annotated[Path, typer.Option("--answer", help="Where to write the answer for the medium.")],
    as_json: Json = False,
) -> None:
    """Answer a join request that came as a file, with roster, catalogue and calendar in the answer. 处理文件入网申请"""
    from hub.enrolment import admit as admit_request
    from hub.enrolment import device_mark, write_accounts
    from protocol.carriers.durable import PUBLIC, write_durably
    from protocol.enrol import open_request, seal_answer

    blob = read_file(request)
    with county_open(directory) as county:
        asked = open_request(blob, keys=county.keys)
        now_ms = county_clock(county.store)()
        with county.store.write() as tx:
            county.shelf.refresh(tx)
            done = admit_request(tx, county.shelf, county.keys, asked, now_ms=now_ms, with_documents=True)
        write_accounts(county.directory, done.accounts)
        sealed = seal_answer(done.answer, keys=county.keys, seal_public=asked.seal_public, device_suite=asked.suite)
    write_durably(answer, sealed, mode=PUBLIC)
    said = done.answer
    data: dict[str, Any] = {
        "office": said.office,
        "device": said.device,
        "fingerprint": device_mark(asked.sign_public),
        "refused": said.refused,
        "reason": said.reason,
        "file": answer,
    }
    admitted, mark = output.say("admitted", "准予入网"), output.say("Fingerprint of the device", "设备指纹")
    text = f"{said.office}: {said.reason or admitted}\n{mark}: {data['fingerprint']}\n{answer}"
    output.show(data, as_json=as_json, text=text)
    if said.refused:
        raise typer.Exit(output.FAILED)


@app.command()
def revoke(
    directory: HubDir,
    device: Annotated[str, typer.Argument(help="Device as `hub nodes` shows it, or the beginning of it. 设备标识")],
    freeze: Annotated[bool, typer.Option("--freeze", help="Only stop it until somebody has looked. 冻结")] = False,
    lift: Annotated[bool, typer.Option("--lift", help="Let a frozen device go on. 解除冻结")] = False,
    staff: StaffName = None,
    as_json: Json = False,
) -> None:
    """Take a device out of the county: lost, stolen or replaced. It may not speak again. 吊销设备"""
    from hub.broker_accounts import remove_account
    from hub.enrolment import set_state
    from protocol import topics
    from protocol.roster import ACTIVE, FROZEN, REVOKED, entry

    if freeze and lift:
        raise InputError("Choose --freeze or --lift, not both.", "--freeze 与 --lift 只能选一个。")
    state = FROZEN if freeze else ACTIVE if lift else REVOKED
    with county_open(directory) as county:
        now_ms = county_clock(county.store)()
        with county.store.write() as tx:
            county.shelf.refresh(tx)
            name = find_device(county, device)
            changed = set_state(tx, county.shelf, county.keys, name, state, staff=staff or STAFF, now_ms=now_ms)
        if changed.state == REVOKED:
            remove_account(county.directory, topics.mailbox(name))
    output.show(
        entry(changed), as_json=as_json, text=f"{changed.incarnation.hex()} of {changed.office}: {changed.state}"
    )


def find_device(county: County, text: str) -> bytes:
    """The incarnation that `text` is the beginning of. Raises InputError for none or several."""
    wanted = text.strip().lower()
    found = [
        name
        for name, one in county.shelf.roster.devices.items()
        if one.role == "edge" and name.hex().startswith(wanted)
    ]
    if len(found) != 1 or not wanted:
        raise InputError(
            f"{len(found)} devices begin with {text!r}; `liandong hub nodes` lists them.",
            f"有 {len(found)} 台设备以“{text}”开头,请用 liandong hub nodes 查看。",
        )
    return found[0]


def read_file(path: Path) -> bytes:
    """The bytes of a file that a person named. Raises InputError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}).", f"文件 {path} 无法读取({error.strerror})。"
        ) from error
