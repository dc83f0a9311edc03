"""The accelerator models that departments write, in the words of the pool catalogue.

Who calls this: `estate.py`. Data only; a model that is not listed keeps the sender's words, so that no pool
matches it and the plan says so.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

# Left: the ledger's words without spaces, hyphens and case. Right: `accelerator` of the pool file.
POOL_MODELS: Mapping[str, str] = {
    "昇腾910b": "Ascend910B",
    "华为昇腾910b": "Ascend910B",
    "ascend910b": "Ascend910B",
    "910b": "Ascend910B",
    "海光k100ai": "HygonK100AI",
    "海光k100": "HygonK100AI",
    "hygonk100ai": "HygonK100AI",
    "k100ai": "HygonK100AI",
    "寒武纪mlu370": "CambriconMLU370",
    "cambriconmlu370": "CambriconMLU370",
    "mlu370": "CambriconMLU370",
    "a800": "A800",
    "nvidiaa800": "A800",
    "英伟达a800": "A800",
    "h20": "H20",
    "nvidiah20": "H20",
    "英伟达h20": "H20",
}


def pool_model(written: str) -> str:
    """The pool's word for a card model as the ledger writes it ("昇腾 910B" -> "Ascend910B")."""
    plain = unicodedata.normalize("NFKC", written).casefold()
    return POOL_MODELS.get("".join(sign for sign in plain if sign.isalnum()), written)
