"""The instructions of this machine's processor for products in bfloat16, as oneDNN may use them."""

import os
from collections.abc import Mapping
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# oneDNN's names for sets of instructions, up to which it may be limited, the oldest first. All it
# does in bfloat16 below the first of each is emulated in float32.
_WITHOUT_BFLOAT16 = (
    *("sse41", "avx", "avx2", "avx2_vnni", "avx2_vnni_2"),
    *("avx512_core", "avx512_core_vnni"),
)
_WITHOUT_AMX = (*_WITHOUT_BFLOAT16, "avx512_core_bf16", "avx512_core_fp16", "avx10_1_512")
_INTEL = "GenuineIntel"
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # the first one wins


def bfloat16_instructions(
    *, cpuinfo: Path = _CPUINFO, environment: Mapping[str, str] = os.environ
) -> str | None:
    """Return the instructions that make products in bfloat16 fast: `AMX`, `AVX512_BF16` or none.

    None is an empty text. Instructions that a setting of oneDNN's (ONEDNN_MAX_CPU_ISA,
    DNNL_MAX_CPU_ISA, TF_ENABLE_ONEDNN_OPTS=0 or false) keeps it from do not count, nor does
    AVX512_BF16 of Intel's processors, whose products in float32 are faster (docs/benchmarks.md).

    Args:
        cpuinfo: File in which Linux lists the processor's instructions.
        environment: Variables.

    Returns:
        The name, or None where the machine does not tell: it is no x86-64 processor under Linux.
    """
    processor = _read_processor(cpuinfo)
    if "flags" not in processor:
        return None
    flags = set(processor["flags"].split())
    if environment.get("TF_ENABLE_ONEDNN_OPTS", "").lower() in ("0", "false"):
        return ""
    limit = next(filter(None, (environment.get(name) for name in _LIMITS)), "").lower()
    if "amx_bf16" in flags and limit not in _WITHOUT_AMX:
        return "AMX"
    if processor.get("vendor_id") == _INTEL or limit in _WITHOUT_BFLOAT16:
        return ""
    return "AVX512_BF16" if "avx512_bf16" in flags else ""


def _read_processor(cpuinfo: Path) -> dict[str, str]:
    """Return what Linux tells of the last core, by name; empty if it tells nothing."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
