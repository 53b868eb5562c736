"""Headings of the tables that commands draw, in Chinese: for the people of the offices and the county.

For: one table from the English heading to the Chinese one, one of the states of a device.
May not: hold the words of a case (conflict/labels.py has those).
Change together: a heading in ops/ needs a line here; tests/unit/ops/test_headings.py compares them.
"""

from __future__ import annotations

HEADINGS: dict[str, str] = {
    "": "",
    # cases
    "number": "办件编号",
    "status": "状态",
    "item": "事项",
    "holder": "办理机构",
    "due": "期限",
    "conflicts": "冲突",
    "unsent": "待回执",
    # a node
    "node": "节点",
    "pending": "待上传",
    "waiting": "等待处理",
    "refused": "被拒收",
    "last contact": "最近联系",
    "version of software": "程序版本",
    "version of roster": "机构名录版本",
    "version of catalogue": "事项目录版本",
    "version of calendar": "工作日历版本",
    "version of roster_issued": "机构名录签发时间",
    "attachments missing here": "本机缺少的附件",
    "attachments not sent": "未上传的附件",
    # the county
    "office": "机构",
    "name": "名称",
    "device": "设备",
    "state": "状态",
    "behind up": "待收",
    "behind down": "待发",
    "held": "待人工",
    "at": "时间",
    "what": "内容",
    "code": "代码",
    "reason": "原因",
    "times": "次数",
    "id": "序号",
    "text": "说明",
    "op": "条目",
    "kind": "类型",
    "detail": "详情",
    "to": "送往",
    "receipt": "回执",
    "attempts": "次数",
    "field": "字段",
    "values": "不同值",
    "open": "未决",
    "certain": "确定",
    "one": "甲",
    "other": "乙",
    "county": "县",
    "documents": "参考数据",
    "calendar years": "日历年份",
    "notices": "提示",
    # accounts
    "role": "角色",
    "password": "有密码",
    "disabled": "停用",
    # a bundle
    "sender": "写入设备",
    "recipient": "接收设备",
    "created": "生成时间",
    "envelopes": "信封数",
    "bytes": "字节数",
    "sha256": "摘要",
    "for this node": "发给本机",
    # lanes
    "lane": "通道",
    "rate": "速率",
    "window": "时段",
    "batch": "批量（字节）",
    # measurements
    "value": "数值",
}


DEVICE_STATES: dict[str, str] = {"active": "启用", "frozen": "冻结", "revoked": "已注销"}


def heading(text: str, *, chinese: bool) -> str:
    """`text` as a person reads it; a heading that is data (a key of a measurement, say) stays as it is."""
    return HEADINGS.get(text, text) if chinese else text
