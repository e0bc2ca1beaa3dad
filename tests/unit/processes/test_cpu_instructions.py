"""Which instructions for bfloat16 a processor has, and whether oneDNN may use them."""

from pathlib import Path

import pytest

from albert_core.processes.cpu_instructions import bfloat16_instructions

OLD = "fpu sse4_1 avx2 avx512f avx512_vnni"
ZEN4 = f"{OLD} avx512_bf16"
SAPPHIRE_RAPIDS = f"{ZEN4} amx_bf16 amx_tile amx_int8 avx512_fp16"


@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        (OLD, {}, ""),
        (ZEN4, {}, "AVX512_BF16"),
        (SAPPHIRE_RAPIDS, {}, "AMX"),
        (SAPPHIRE_RAPIDS, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, "AMX"),
        (SAPPHIRE_RAPIDS, {"ONEDNN_MAX_CPU_ISA": "ALL"}, "AMX"),
        (SAPPHIRE_RAPIDS, {"ONEDNN_MAX_CPU_ISA": ""}, "AMX"),
        (SAPPHIRE_RAPIDS, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, "AVX512_BF16"),
        (SAPPHIRE_RAPIDS, {"DNNL_MAX_CPU_ISA": "avx512_core_fp16"}, "AVX512_BF16"),
        (SAPPHIRE_RAPIDS, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, ""),
        (SAPPHIRE_RAPIDS, {"DNNL_MAX_CPU_ISA": "AVX2"}, ""),
        (
            SAPPHIRE_RAPIDS,
            {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX", "DNNL_MAX_CPU_ISA": "AVX2"},
            "AMX",
        ),
        (ZEN4, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}, ""),
        (SAPPHIRE_RAPIDS, {"TF_ENABLE_ONEDNN_OPTS": "0"}, ""),
        (SAPPHIRE_RAPIDS, {"TF_ENABLE_ONEDNN_OPTS": "False"}, ""),
        (SAPPHIRE_RAPIDS, {"TF_ENABLE_ONEDNN_OPTS": "1"}, "AMX"),
    ],
)
def test_instructions_of_a_processor_that_onednn_may_use(
    flags: str, environment: dict[str, str], expected: str, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: x\nflags\t\t: {flags}\nbugs\t\t:\n")
    assert bfloat16_instructions(cpuinfo=cpuinfo, environment=environment) == expected


@pytest.mark.parametrize(
    ("flags", "vendor", "expected"),
    [
        (ZEN4, "AuthenticAMD", "AVX512_BF16"),
        (ZEN4, "GenuineIntel", ""),  # a virtual machine may have an Intel processor without its AMX
        (SAPPHIRE_RAPIDS, "GenuineIntel", "AMX"),
    ],
)
def test_without_amx_intels_processors_are_not_faster_in_bfloat16(
    flags: str, vendor: str, expected: str, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\n")
    assert bfloat16_instructions(cpuinfo=cpuinfo, environment={}) == expected


def test_a_processor_that_does_not_tell_them(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    assert bfloat16_instructions(cpuinfo=cpuinfo, environment={}) is None  # macOS has no such file
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")  # of a 64-bit Arm
    assert bfloat16_instructions(cpuinfo=cpuinfo, environment={}) is None
