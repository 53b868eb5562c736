"""The county that is simulated: an area tree of the size asked for, and items of all five kinds, as files to load.

For: what `init_county` and `publish_items` read, and which offices get a device.
May not: draw randomness; take another way into the product than the files a county would bring.
Manual: docs/testing.md, "The simulator".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

COUNTY = "420222"
CITY = "4202"
VILLAGES_PER_TOWN = 4  # offices with a device; the tree has one more town than needed, for offices that move

ITEM_COLUMNS = (
    "item_code,name,department,kind,accept_level,approve_level,statutory_days,promised_days,"
    "legal_basis,materials,fee,note,statutory_unit"
)


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One line of the item list."""

    code: str
    name: str
    department: str
    kind: str
    accept: str
    approve: str
    statutory: int = 0
    promised: int = 0
    materials: str = ""

    def cells(self) -> str:
        unit = "workday" if self.statutory else ""
        days = f"{self.statutory or ''},{self.promised or ''}"
        head = f"{self.code},{self.name},{self.department},{self.kind},{self.accept},{self.approve}"
        return f"{head},{days},,{self.materials},,,{unit}"


ITEMS = (
    ItemRow("SIM-JB-1", "老年人优待证办理", "民政局", "即办", "village", "village"),
    ItemRow("SIM-JB-2", "户籍证明", "公安局", "即办", "township", "township"),
    ItemRow("SIM-CN-1", "临时救助", "民政局", "承诺", "village", "township", 20, 7, "书面申请"),
    ItemRow(
        "SIM-CN-2", "最低生活保障审核确认", "民政局", "承诺", "village", "county", 20, 10, "个人申请书;身份证复印件"
    ),
    ItemRow("SIM-CN-3", "建设工程规划许可", "自然资源和规划局", "承诺", "county", "county", 20, 15, "申请表"),
    ItemRow("SIM-DF-1", "政策咨询", "人力资源和社会保障局", "答复", "village", "village"),
    ItemRow("SIM-SB-1", "劳动能力鉴定", "人力资源和社会保障局", "上报", "village", "city", 60, 45, "申请表"),
    ItemRow("SIM-SB-2", "烟草专卖零售许可", "烟草专卖局", "上报", "township", "city", 20, 15, "申请表"),
    ItemRow("SIM-LB-1", "农村宅基地用地审批", "农业农村局、自然资源和规划局", "联办", "village", "county", 45, 30),
)


@dataclass(frozen=True, slots=True)
class Tree:
    """The offices with a device (the county's windows first, then towns, then villages) and a town without any."""

    offices: tuple[str, ...]
    spare_town: str

    @property
    def towns(self) -> tuple[str, ...]:
        return tuple(code for code in self.offices if len(code) == 9)

    @property
    def villages(self) -> tuple[str, ...]:
        return tuple(code for code in self.offices if len(code) == 12)

    def branch(self, town: str) -> tuple[str, ...]:
        """A town and its villages, as the tree was at first."""
        return tuple(code for code in self.offices if code.startswith(town))


def plant(offices: int) -> Tree:
    """A tree with this many offices that have a device."""
    towns = max(1, round((offices - 1) / (VILLAGES_PER_TOWN + 1)))
    villages = offices - 1 - towns
    codes = [f"{COUNTY}{100 + number}" for number in range(towns)]
    below = [f"{codes[number % towns]}{201 + number // towns}" for number in range(villages)]
    return Tree((COUNTY, *codes, *sorted(below)), f"{COUNTY}{100 + towns}")


def write_areas(path: Path, tree: Tree) -> None:
    rows = [
        "code,name,parent_code,level",
        "42,湖北省,,province",
        f"{CITY},黄石市,42,city",
        f"{COUNTY},阳新县,{CITY},county",
    ]
    rows += [f"{town},第{town[6:]}镇,{COUNTY},township" for town in (*tree.towns, tree.spare_town)]
    rows += [f"{village},第{village[9:]}村,{village[:9]},village" for village in tree.villages]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_items(path: Path, promised: Mapping[str, int] | None = None) -> None:
    """The item list; `promised` changes the promise of some items, as a new version of the catalogue does."""
    changed = promised or {}
    rows = [replace(row, promised=changed.get(row.code, row.promised)) for row in ITEMS]
    path.write_text("\n".join([ITEM_COLUMNS, *(row.cells() for row in rows)]) + "\n", encoding="utf-8")
