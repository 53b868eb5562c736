"""What is measured with: made-up cases of about 1.2 KB of form fields, from a fixed seed.

For: ops, devices and envelopes alike for all measurements.
May not: hide what its words are: "trained" draws from the lists that the compression dictionary was trained on (with
another seed), as a county's forms after a dictionary of their own; "fresh" uses sentences that it never saw.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Literal

from conflict import numbers
from ops import train_dictionary
from protocol.keys import DeviceKeys, generate
from protocol.op import Draft, Op, Reference, sign_op
from protocol.roster import Device

Words = Literal["trained", "fresh"]
COUNTY = "420222"
VILLAGES = [("420222107205", "白沙铺村委会"), ("420222108200", "白浪村委会"), ("420222109203", "高椅村委会")]
NOW_MS = 1_772_413_200_000
ITEM = "JF-MZ-001"
TERMS: Mapping[str, Any] = {
    "kind": "committed",
    "version": 1,
    "name": "最低生活保障审核确认",
    "accept_level": "village",
    "approve_level": "county",
    "statutory": [30, "calendar"],
}
FIELD_BYTES = 1_200  # of form fields in a typical accept op
SENTENCES = (
    "去年夏天连续暴雨,屋后山体滑坡,厨房和猪圈被埋,幸无人员伤亡,现借住在堂兄家中。",
    "本人早年在外地砖厂打工,二〇一九年查出尘肺,已丧失重体力劳动能力。",
    "老伴常年卧床,每月药费约六百元,医保报销后仍需自付大半。",
    "小儿子在武汉读大专,学费靠助学贷款,明年毕业。",
    "家中现有水田两亩三分,旱地一亩,因无人耕种已流转给合作社。",
    "房屋系一九八六年所建砖木结构,屋顶漏雨,墙体开裂,经镇里鉴定为丙类。",
    "因母亲过世,户口本上的户主需要变更,其余成员不变。",
    "本户原享受农村低保,去年外出务工停发,今年返乡后无收入,请求恢复。",
    "申请在自留地旁新建两层住房一栋,四邻均已签字同意,附示意图。",
    "营业地点在集镇老供销社一楼,面积约八十平方,经营早餐和米面制品。",
    "孙女由我夫妇抚养,其父母离异后母亲下落不明,父亲在服刑。",
    "因道路拓宽占用门前空地,与邻居就界址有争议,请求调解。",
    "原证件于赶集途中遗失,已在派出所报失,现申请补办。",
    "本人右手食指、中指在车床作业时受伤,单位已认定工伤,请求鉴定等级。",
)
NAMES = ("申请理由", "家庭情况", "住房情况", "收入说明", "其他说明", "经办人意见")
LETTERS = "娄亓漆缪滕翟闵晏卜覃洛淼霁骁睿晗筱翊彧岚嵩柏楠桦"


def field_bytes(fields: Mapping[str, str]) -> int:
    """Bytes of UTF-8 in names and values."""
    return sum(len(f"{name}{value}".encode()) for name, value in fields.items())


def trained_form(rng: random.Random) -> dict[str, str]:
    """Form fields of about FIELD_BYTES bytes, from the dictionary's word lists."""
    made = train_dictionary.form(rng, VILLAGES)
    for name in train_dictionary.FORM_FIELDS:
        if field_bytes(made) >= FIELD_BYTES:
            break
        made.setdefault(name, rng.choice(train_dictionary.PHRASES) + str(rng.randint(1, 99999)))
    return made


def fresh_form(rng: random.Random) -> dict[str, str]:
    """Form fields of about FIELD_BYTES bytes, in sentences that the dictionary never saw."""
    made = {
        "applicant_name": rng.choice(LETTERS) + "".join(rng.sample(LETTERS, 2)),
        "applicant_id": f"420222{rng.randint(1940, 2010)}{rng.randint(101, 1231):04d}{rng.randint(0, 9999):04d}",
        "applicant_phone": f"15{rng.randint(100_000_000, 999_999_999)}",
        "银行账号": str(rng.randint(10**18, 10**19 - 1)),
    }
    while field_bytes(made) < FIELD_BYTES:
        name = NAMES[len(made) % len(NAMES)] + ("" if len(made) < len(NAMES) + 4 else str(len(made)))
        text = rng.choice(SENTENCES) + f"第{rng.randint(1, 99)}号,{rng.randint(100, 99999)}元。" + rng.choice(SENTENCES)
        made[name] = text
    return made


class Author:
    """A made-up device that signs a chain of ops."""

    def __init__(self, rng: random.Random, office: str, words: Words = "trained") -> None:
        self.rng = rng
        self.form = trained_form if words == "trained" else fresh_form
        self.keys: DeviceKeys = generate(COUNTY, office, "edge", rng.randbytes)
        self.last: Op | None = None

    @property
    def device(self) -> Device:
        """Its entry in a roster."""
        keys = self.keys
        return Device(keys.incarnation, keys.office, keys.role, keys.sign_public, keys.seal_public, keys.suite, NOW_MS)

    def say(self, kind: str, body: dict[str, Any], *, case: bytes | None = None, parents: tuple[bytes, ...] = ()) -> Op:
        """The next op of this device."""
        draft = Draft(kind, case, parents, "chief", "chief", NOW_MS, body, (NOW_MS, 0), Reference(1, 1, 1))
        before = self.last
        self.last = sign_op(
            draft,
            office=self.keys.office,
            device=self.keys.incarnation,
            seed=self.keys.sign_seed,
            seq=before.seq + 1 if before else 1,
            prev=before.id if before else None,
        )
        return self.last

    def accept(self, terms: Mapping[str, Any] = TERMS, *, urgent: bool = False) -> Op:
        """An op that opens a case, with about 1.2 KB of fields. terms: as published, or the hub vetoes the op."""
        seq = self.last.seq + 1 if self.last else 1
        number = numbers.make(self.keys.office, NOW_MS, seq, device=self.keys.incarnation)
        body: dict[str, Any] = {"number": number, "item": ITEM, "terms": dict(terms), "fields": self.form(self.rng)}
        if urgent:
            body["urgent"] = True
        return self.say("accept", body)

    def status(self, case: bytes, parent: bytes) -> Op:
        """A small op about a case."""
        return self.say("note", {"text": "已电话告知申请人。"}, case=case, parents=(parent,))
