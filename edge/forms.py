"""What a worker fills in: the application form, checked before anything is written.

For: required fields, sizes, identity numbers; turning a form into the fields of an opening op.
May not: touch the store; decide powers.
Manual: docs/operating/edge.md, "Accepting".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conflict.identity import check_identity
from conflict.kinds import LIST_MAX, NAME_MAX, TEXT_MAX
from edge.errors import FieldTooLong
from protocol.errors import InputError

PHONE_CHARS_MAX = 30
MODES = ("direct", "proxy", "assist", "inform")  # 直办 代办 协办 公开告知
RESERVED = ("applicant_name", "applicant_id", "applicant_phone")


@dataclass(frozen=True, slots=True)
class Application:
    """One application as handed in.

    id_number: identity number (GB 11643) of a person, or credit code (GB 32100) of an organisation.
    mode: one of MODES or empty. fields: further answers of the form by name. attachments: files to attach. materials: names of what was handed in
    on paper. conditional: names of materials that may come later (容缺受理). received_only: hand in now, accept later.
    original: keep photos as they were handed in.
    """

    item: str
    applicant: str
    id_number: str
    phone: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[Path] = ()
    materials: Sequence[str] = ()
    conditional: Sequence[str] = ()
    urgent: bool = False
    mode: str = ""
    received_only: bool = False
    original: bool = False


def fields_of(application: Application) -> dict[str, str]:
    """The fields of the opening op.

    Raises:  InputError (a required field is empty, a reserved name is used), BadIdentityNumber, FieldTooLong.
    """
    name = application.applicant.strip()
    if not name:
        raise InputError("The applicant's name is needed.", "请填写申请人姓名。", field="applicant_name")
    if len(name) > NAME_MAX:
        raise _too_long("applicant_name", NAME_MAX)
    clash = sorted(set(application.fields) & set(RESERVED))
    if clash:
        raise InputError(
            f"The field {clash[0]} is filled by its own option.",
            f"字段 {clash[0]} 请使用专用选项填写。",
            field=clash[0],
        )
    made = {"applicant_name": name, "applicant_id": check_identity(application.id_number).number}
    phone = application.phone.strip()
    if phone:
        check_phone(phone)
        made["applicant_phone"] = phone
    made.update(check_fields(application.fields))
    if application.mode and application.mode not in MODES:
        raise InputError(f"mode is one of {', '.join(MODES)}.", f"办理方式只能是：{'、'.join(MODES)}。", field="mode")
    return made


def check_fields(fields: Mapping[str, str], *, needed: bool = False) -> dict[str, str]:
    """Fields of a form or an amendment, trimmed and checked.

    Raises:  InputError (none although `needed`, too many, an empty name), FieldTooLong, BadIdentityNumber and
             InputError for the reserved fields of the applicant.
    """
    if needed and not fields:
        raise InputError("At least one field is needed.", "请至少填写一个字段。")
    if len(fields) > LIST_MAX:
        raise InputError(f"At most {LIST_MAX} fields fit one form.", f"一张表单最多 {LIST_MAX} 个字段。")
    made: dict[str, str] = {}
    for name, value in fields.items():
        if not name.strip() or len(name) > NAME_MAX:
            raise FieldTooLong(f"A field name has 1 to {NAME_MAX} characters.", f"字段名应为 1 至 {NAME_MAX} 个字符。")
        if len(value) > TEXT_MAX:
            raise _too_long(name, TEXT_MAX)
        made[name.strip()] = value.strip()
    if "applicant_id" in made:
        made["applicant_id"] = check_identity(made["applicant_id"]).number
    if made.get("applicant_phone"):
        check_phone(made["applicant_phone"])
    return made


def check_phone(phone: str) -> None:
    """Raises InputError unless `phone` looks like a telephone number."""
    digits = [character for character in phone if character.isdigit()]
    if len(phone) > PHONE_CHARS_MAX or len(digits) < 5 or not set(phone) <= set("0123456789+-() 转/"):
        raise InputError("This is not a telephone number.", "联系电话格式不正确。", field="applicant_phone")


def _too_long(name: str, most: int) -> FieldTooLong:
    return FieldTooLong(
        f"The field {name[:NAME_MAX]} has more than {most} characters.",
        f"字段 {name[:NAME_MAX]} 超过 {most} 个字符。",
        field=name[:NAME_MAX],
    )
