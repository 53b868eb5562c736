"""Why a row stands where it stands, in two languages: the columns that people read.

For: one form of code and sentence for errors of the city, withdrawals and faults of our own.
May not: hold citizen data; decide anything.
Manual: docs/operating/upward.md, "What the list says".
"""

from __future__ import annotations

from protocol.errors import LiandongError

REASON_MAX = 600  # characters of one sentence

# Why a forward does not count any more (forwards.UpwardForward.gone): for the list, and in Chinese for the city.
GONE = {
    "recalled": ("The sender has recalled the forward.", "原单位已撤回上报。"),
    "withdrawn": ("The applicant has withdrawn the application.", "申请人已撤回申请。"),
    "voided": ("The case was voided.", "办件已作废。"),
    "acceptance_refused": ("The application was not accepted.", "申请未予受理。"),
    "overtaken": (
        "Another act in the county came first; this forward does not count.",
        "县内已有其他处理在先，本次上报无效。",
    ),
}


def reason(code: str, text: str, text_zh: str) -> dict[str, str]:
    """The three columns of a reason."""
    return {"reason_code": code, "reason": text[:REASON_MAX], "reason_zh": text_zh[:REASON_MAX]}


def reason_of(error: LiandongError) -> dict[str, str]:
    """The three columns for an error."""
    return reason(error.code, error.text, error.text_zh)


def gone(why: str) -> dict[str, str]:
    """The three columns for a forward that was taken back, `why` being a key of GONE."""
    return reason(why, *GONE[why])


NONE = reason("", "", "")
LOST_AT_CITY = reason(
    "lost_at_city",
    "The city does not know its own receipt number any more; the bundle is handed in again under the same key.",
    "市级平台已查不到其回执号，将以同一编号重新报送。",
)
WRONGLY_TAKEN_BACK = reason(
    "city_taken_back",
    "The city was told of a withdrawal that did not hold. Recall the forward and forward the case anew.",
    "已通知市级平台撤回，但该撤回未生效。请撤回本次上报后重新上报。",
)
