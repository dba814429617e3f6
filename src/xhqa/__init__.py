"""xhqa: ask documents a question, get their own words back.

from xhqa import Pipeline
answer = Pipeline.open("index").ask("徐汇有多少家大模型企业？")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xhqa.pipeline import Pipeline

__version__ = "0.1.0"
__all__ = ["Pipeline", "__version__"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `import xhqa` loads no model library.
    if name == "Pipeline":
        from xhqa.pipeline import Pipeline

        return Pipeline
    raise AttributeError(f"module 'xhqa' has no attribute {name!r}")
