"""The district that a sender speaks for, from his name: 重庆市渝北区大数据局 -> 渝北区.

The rankings of `monthly` are by district; a sender whose name holds none stands for himself.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# After the city's name, at most four signs before 新区, 区 or 县; 园区, 社区 and the like are no districts.
_DISTRICT = re.compile(
    r"(?:[\u4e00-\u9fff]{2,6}?(?:省|自治区|市))?"
    r"([\u4e00-\u9fff]{1,4}?(?:新区|(?<![园社校院厂片景林库矿山地战])区|自治县|县))"
)


@lru_cache(maxsize=4096)
def district_of_sender(sender: str) -> str:
    name = "".join(unicodedata.normalize("NFKC", sender).split())
    match = _DISTRICT.match(name)
    return match[1] if match else name or "（未填报单位）"
