"""Who takes part in the demonstration day, and what they come for.

For: offices of 阳新县, made-up applicants with valid identity numbers, and the items they apply for.
May not: name a real person: names and numbers are invented; only areas and items are real.
Manual: docs/operating/demo.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"
COUNTY = "420222"
CITY = "4202"
WINDOWS = "420222"  # the county centre's windows are an office of the county level
HALL = "420222107"  # 白沙镇
PU = "420222107205"  # 白沙铺村, 白沙镇
TUKU = "420222107208"  # 土库村, 白沙镇
BAILANG = "420222108200"  # 白浪村, 浮屠镇
NAMES = {
    WINDOWS: "县政务服务中心",
    HALL: "白沙镇便民服务厅",
    PU: "白沙铺村便民服务室",
    TUKU: "土库村便民服务室",
    BAILANG: "白浪村便民服务室",
    CITY: "黄石市",
}
OFFICES = (WINDOWS, HALL, PU, TUKU, BAILANG)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999


@dataclass(frozen=True, slots=True)
class Visit:
    """One application: at which office, for what, by whom. kind is the item's, for the final table."""

    key: str
    office: str
    item: str
    kind: str
    applicant: str
    id_number: str
    phone: str
    fields: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    urgent: bool = False
    received_only: bool = False

    def words(self, directory: Path) -> list[str]:
        """The words of the `case` command that enters it; attachments lie in `directory`."""
        words = ["--item", self.item, "--applicant", self.applicant, "--id-number", self.id_number]
        words += ["--phone", self.phone]
        for field in self.fields:
            words += ["--field", field]
        for paper in self.papers:
            words += ["--material", paper]
        for name in self.files:
            words += ["--attach", str(directory / name)]
        return [*words, *(["--urgent"] if self.urgent else [])]


def identity(birth: str, sequence: str, county: str = COUNTY) -> str:
    """A well-formed identity number: area, birth date, sequence and the check character of GB 11643."""
    body = f"{county}{birth}{sequence}"
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, WEIGHTS, strict=True)) % 11]


VISITS = (
    Visit(
        "低保", PU, "JF-MZ-001", "承诺件", "王秀兰", identity("19490312", "004"), "13871230001",
        fields=("家庭人口=2", "申请理由=老伴病故,本人年老多病,无劳动能力。"),
        papers=("个人申请书", "户口簿复印件"), files=("身份证复印件.jpg",),
    ),
    Visit(
        "劳动能力鉴定", PU, "QR-RS-018", "上报件", "石建军", identity("19740825", "013"), "13871230002",
        fields=("受伤部位=右手食指、中指", "用人单位=白沙镇采石场"), files=("工伤认定决定.jpg", "职工工伤医疗有关资料.jpg"),
    ),
    Visit(
        "优待证", PU, "GG-MZ-018", "即办件", "李有福", identity("19581101", "015"), "13871230003",
        papers=("身份证或户口簿原件", "一寸近期免冠照片"),
    ),
    Visit(
        "信访", TUKU, "GG-XF-001", "答复件", "张水生", identity("19660714", "017"), "13871230004",
        fields=("信访事项=村道塌方半年未修,请求答复修复时间。",), received_only=True,
    ),
    Visit(
        "建房", TUKU, "LB-ZW-003", "联办件", "柯大明", identity("19820203", "011"), "13871230005",
        fields=("宅基地面积=120平方米", "四至范围=东至村道,西至水渠,南至柯家老屋,北至菜地"), files=("住宅设计图件.jpg",),
    ),
    Visit(
        "临时救助", TUKU, "JF-MZ-003", "承诺件", "明桂香", identity("19710919", "024"), "13871230006",
        fields=("困难情形=昨夜失火,厨房与粮食烧毁。",), papers=("书面申请", "临时救助申请审批表"), urgent=True,
    ),
    Visit(
        "调解", BAILANG, "GG-SF-002", "答复件", "费长根", identity("19690406", "018"), "13871230007",
        fields=("纠纷内容=两户因滴水界址争议。",),
    ),
)  # fmt: skip


def write_attachments(directory: Path) -> None:
    """Small made-up scans, different from each other, where the demo's clerks find them."""
    directory.mkdir(parents=True, exist_ok=True)
    names = [name for visit in VISITS for name in visit.files]
    for number, name in enumerate([*names, "补充材料.jpg"], 1):
        picture = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(
            (number * 31 + at * at) % 251 for at in range(40_000 + 9_000 * number)
        )
        (directory / name).write_bytes(picture + b"\xff\xd9")


def write_items(target: Path) -> None:
    """The demonstration county's item list: the general one with the county's own rows in place of those of the same code."""
    general = (DATA / "items.csv").read_text("utf-8").splitlines()
    own = (DATA / "items_yangxin.csv").read_text("utf-8").splitlines()[1:]
    codes = {row.split(",", 1)[0] for row in own}
    kept = [row for row in general if row.split(",", 1)[0] not in codes]
    target.write_text("\n".join([*kept, *own]) + "\n", "utf-8")
