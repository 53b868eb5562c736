"""Trains a compression dictionary for envelopes from synthetic cases.

For: making `protocol/dictionaries/N.zdict` once; kept so that the next one is made the same way.
May not: use real citizens' data: names, numbers and addresses are drawn from word lists with a fixed seed.
Run: python -m ops.train_dictionary ITEMS.csv AREAS.csv [AREAS.csv…] OUT.zdict
"""

# ruff: noqa: SIM905  (word lists read better as prose)
from __future__ import annotations

import csv
import random
import sys
from pathlib import Path
from typing import Any

import zstandard

from protocol import canonical
from protocol.keys import generate
from protocol.messages import STREAM_RECEIPT, Ack, Chunk, Hello, Message, Ops, Stream, Want, Welcome, to_wire
from protocol.op import Draft, Op, Reference, sign_op
from protocol.receipt import AcceptedRun, Receipt, sign_receipt

DICTIONARY_BYTES = 32_768
SURNAMES = "王李张刘陈杨黄赵周吴徐孙朱马胡郭林何高梁郑罗宋谢唐韩曹许邓萧冯曾程蔡彭潘袁于董余苏叶吕魏蒋田杜丁沈姜范江傅钟卢汪戴崔任陆廖姚方金邱夏谭韦贾邹石熊孟秦阎薛侯雷白龙段郝孔邵史毛常万顾赖武康贺严尹钱施牛洪龚"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文兰玉建国春梅志红海燕凤云生福德明贵珍莲香根水木火土成林龙虎山川东西南北中正义仁礼智信忠孝友爱和平安康宁乐喜庆祥瑞"
FORM_FIELDS = (
    "户口所在地 现住址 家庭人口 户主姓名 与户主关系 婚姻状况 文化程度 职业 开户银行 银行账号 申请理由 申请事由 家庭年收入 "
    "主要收入来源 残疾类别 残疾等级 残疾证号 耕地面积 宅基地面积 房屋结构 层数 建筑面积 占地面积 四至范围 用地性质 联系人 联系电话 "
    "代办人 代办人身份证号 备注 受理意见 村委会意见 民主评议结果 公示情况 监护人 监护人电话 出生日期 性别 民族 户籍类型 参保类型 缴费档次 "
    "经营场所 经营范围 法定代表人 统一社会信用代码 从业人数 注册资本 采伐地点 树种 采伐数量 采伐方式 证件有效期"
).split()
PHRASES = (
    "因患重大疾病，家庭生活困难，特申请救助。 本人承诺所提供材料真实有效。 经村民代表会议评议，同意上报。 情况属实，同意受理。 材料齐全，符合条件，同意上报。 "
    "已核对原件。 复印件与原件一致。 缺少户口簿复印件，请补正。 请补充身份证复印件。 经审核，符合规定，准予办理。 不符合条件，不予批准。 家中无劳动力，无固定收入来源。 "
    "子女在外务工，无力赡养。 住房年久失修，属危房。 因自然灾害导致基本生活困难。 办理新农合参保登记。 城乡居民基本养老保险 城乡居民基本医疗保险 最低生活保障 临时救助 "
    "农村宅基地 不动产权证书 居民身份证 居民户口簿 结婚证 残疾人证 营业执照 一寸免冠照片 二寸彩色照片 申请表 委托书 授权委托书 土地承包经营权证 湖北省 浙江省 农村信用社 "
    "中国农业银行 中国邮政储蓄银行 村委会 居委会 便民服务室 便民服务厅 政务服务中心 民政局 人力资源和社会保障局 农业农村局 自然资源和规划局 市场监督管理局"
).split()


def person(rng: random.Random) -> str:
    return rng.choice(SURNAMES) + "".join(rng.choice(GIVEN) for _ in range(rng.choice((1, 2, 2))))


def identity(rng: random.Random, county: str) -> str:
    birth = f"{rng.randint(1935, 2015)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    body = f"{county}{birth}{rng.randint(0, 999):03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(c) * w for c, w in zip(body, weights, strict=True)) % 11]


def form(rng: random.Random, villages: list[tuple[str, str]]) -> dict[str, str]:
    """About 1.2 KB of Chinese form fields."""
    code, name = rng.choice(villages)
    fields = {
        "applicant_name": person(rng),
        "applicant_id": identity(rng, code[:6]),
        "applicant_phone": f"1{rng.choice('3578')}{rng.randint(0, 999999999):09d}",
    }
    for key in rng.sample(FORM_FIELDS, rng.randint(8, 18)):
        value = {"地": name, "址": name, "名": person(rng), "人": person(rng)}.get(key[-1])
        if value is None:
            value = rng.choice(PHRASES) if rng.random() < 0.6 else str(rng.randint(1, 99999))
        fields[key] = value + (f"{rng.randint(1, 12)}组{rng.randint(1, 200)}号" if value == name else "")
    return fields


def case_ops(rng: random.Random, items: list[dict[str, str]], villages: list[tuple[str, str]], office: str) -> list[Op]:
    """One case's ops by one device, as they would be offered."""
    seed, device = rng.randbytes(32), rng.randbytes(8)
    item = rng.choice(items)
    kinds = {"即办": "immediate", "承诺": "committed", "答复": "reply", "上报": "submit_up", "联办": "joint"}
    terms: dict[str, Any] = {
        "kind": kinds[item["kind"]],
        "version": 1,
        "name": item["name"],
        "accept_level": item["accept_level"],
        "approve_level": item["approve_level"],
    }
    if item["statutory_days"]:
        terms["statutory"] = [int(item["statutory_days"]), item["statutory_unit"]]
    if item["promised_days"]:
        terms["promised"] = [int(item["promised_days"]), "workday"]
    seq = rng.randint(1, 3000)
    number = f"{office}-{rng.randint(20260101, 20261231)}-{seq:05d}-{rng.choice('0123456789X')}"
    ops: list[Op] = []
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("accept", {"number": number, "item": item["item_code"], "terms": terms, "fields": form(rng, villages)}),
        ("attach", {"material": rng.choice(PHRASES), "sha256": rng.randbytes(32), "size": rng.randint(20000, 900000),
                    "media": "image/jpeg", "name": f"IMG_{rng.randint(1000, 9999)}.jpg", "grade": rng.choice("ABCD")}),
        ("forward", {"to": office[:9], "opinion": rng.choice(PHRASES)}),
        ("take", {"of": rng.randbytes(32)}),
        ("examine", {"outcome": "agree", "opinion": rng.choice(PHRASES), "step": "verify"}),
        ("notice", {"missing": [rng.choice(PHRASES)], "reason": rng.choice(PHRASES)}),
        ("supplement", {"of": rng.randbytes(32), "materials": [rng.choice(PHRASES)]}),
        ("decide", {"decision": rng.choice(("granted", "denied", "answered")), "opinion": rng.choice(PHRASES)}),
        ("conclude", {"type": rng.choice(("normal", "certificate_issued"))}),
        ("deliver", {"method": rng.choice(("window", "post")), "receiver": person(rng)}),
    ]  # fmt: skip
    now = 1_760_000_000_000 + rng.randint(0, 40_000_000_000)
    for kind, body in bodies[: rng.randint(1, len(bodies))]:
        draft = Draft(
            kind,
            ops[0].case if ops else None,
            [ops[-1].id] if ops else [],
            rng.choice(("chief", "agent", "w01", "w02")),
            rng.choice(("agent", "examiner", "chief")),
            now,
            body,
            (now - rng.randint(0, 10**8), rng.choice((-1, 86_400_000))),
            Reference(rng.randint(1, 9), rng.randint(1, 3), 1),
        )
        prev = ops[-1].id if ops else (rng.randbytes(32) if seq > 1 else None)
        ops.append(sign_op(draft, office=office, device=device, seed=seed, seq=seq, prev=prev))
        seq += 1
    return ops


def receipt_on_its_way(rng: random.Random) -> bytes:
    """The stream message that brings a receipt for one op or a batch."""
    keys = generate(str(rng.randint(110000, 659999)), "420222", "hub", rng.randbytes)
    first = rng.randint(1, 3000)
    run = AcceptedRun(first, first + rng.choice((0, 0, 0, 4, 49)), rng.randbytes(32))
    receipt = Receipt(keys.county, rng.randbytes(8), 1_760_000_000_000 + rng.randint(0, 40_000_000_000), (run,))
    place = rng.randint(1, 5000)
    stream = Stream(rng.randbytes(8), place, place, [[STREAM_RECEIPT, sign_receipt(receipt, keys)]])
    return canonical.encode([to_wire(stream)])


def samples(rng: random.Random, items: list[dict[str, str]], villages: list[tuple[str, str]]) -> list[bytes]:
    """Envelope contents as they occur: alone, in small batches, streams, receipts, control messages."""
    out: list[bytes] = [receipt_on_its_way(rng) for _ in range(400)]
    for _ in range(2500):
        ops = case_ops(rng, items, villages, rng.choice(villages)[0])
        one = rng.choice(ops)
        pick = rng.random()
        if pick < 0.5:
            out.append(canonical.encode([to_wire(Ops([ops[0].blob]))]))
        elif pick < 0.75:
            out.append(canonical.encode([to_wire(Ops([one.blob]))]))
        elif pick < 0.9:
            out.append(canonical.encode([to_wire(Stream(rng.randbytes(8), 5, 5, [[1, one.blob]]))]))
        else:
            documents = {"roster": rng.randint(1, 300), "catalogue": 1, "calendar": 1}
            counts = {"pending": rng.randint(0, 9), "waiting": 0, "refused": 0}
            hello = Hello(rng.randbytes(8), "0.1.0", documents, rng.randbytes(8), 5, 9, counts, False)
            welcome = Welcome(
                rng.randbytes(8), 1_760_000_000_000, rng.randbytes(8), 3, rng.randbytes(32), [], 0, "active", b""
            )
            want, chunk = Want(rng.randbytes(32), [[0, 3]]), Chunk(rng.randbytes(32), 40000, 0, b"JFIF")
            control: list[Message] = [hello, welcome, Ack(rng.randbytes(8), 7), want, chunk]
            out.append(canonical.encode([to_wire(rng.choice(control))]))
    return out


def main(arguments: list[str]) -> int:
    items_file, *area_files, out_file = arguments
    rng = random.Random(20261126)
    with Path(items_file).open(encoding="utf-8", newline="") as handle:
        items = list(csv.DictReader(handle))
    villages: list[tuple[str, str]] = []
    for area_file in area_files:
        with Path(area_file).open(encoding="utf-8", newline="") as handle:
            villages += [(row["code"], row["name"]) for row in csv.DictReader(handle) if row["level"] == "village"]
    trained = zstandard.train_dictionary(
        DICTIONARY_BYTES, list[bytes | bytearray | memoryview](samples(rng, items, villages))
    )
    Path(out_file).write_bytes(trained.as_bytes())
    print(f"{out_file}: {len(trained.as_bytes())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
