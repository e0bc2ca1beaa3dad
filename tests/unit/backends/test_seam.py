"""Both backends define the same names, and nothing else asks which of them runs."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BACKENDS = ROOT / "albert_core" / "backends"
NAMES = ("jax", "tensorflow")
# These name it in the message that refuses what it cannot do.
MAY_NAME_THE_BACKEND = {
    "albert_core/exports/graph.py",
    "albert_core/exports/saved_model.py",
    "albert_core/training/devices.py",
}


def public_names(path: Path) -> dict[str, list[str]]:
    """Return a module's public definitions, with the parameters of functions."""
    names: dict[str, list[str]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            names[node.name] = [argument.arg for argument in arguments]
        elif isinstance(node, ast.ClassDef):
            names[node.name] = []
        elif isinstance(node, ast.Assign):
            names |= {target.id: [] for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = []
    return {name: more for name, more in names.items() if not name.startswith("_")}


def public_modules(backend: str) -> set[str]:
    return {path.stem for path in (BACKENDS / backend).glob("[!_]*.py")}


def test_both_packages_have_the_same_modules() -> None:
    assert public_modules("jax") == public_modules("tensorflow") > {"attention", "train_step"}


@pytest.mark.parametrize("module", sorted(public_modules("jax")))
def test_both_packages_define_the_same_names_and_parameters(module: str) -> None:
    one, other = (public_names(BACKENDS / backend / f"{module}.py") for backend in NAMES)
    assert one
    assert one == other


def test_the_seam_exports_every_public_name() -> None:
    text = (BACKENDS / "__init__.py").read_text(encoding="utf-8")
    exported = set(re.findall(r'"(\w+)",', text))
    read_as_modules = {"distribution", "record_reader"}
    names = {
        name
        for module in public_modules("jax") - read_as_modules
        for name in public_names(BACKENDS / "jax" / f"{module}.py")
    }
    assert exported == names | read_as_modules


@pytest.mark.parametrize(("backend", "other"), [NAMES, NAMES[::-1]])
def test_a_package_imports_nothing_of_the_other(backend: str, other: str) -> None:
    paths = [*(BACKENDS / backend).glob("*.py"), *(BACKENDS / "portable").glob("*.py")]
    imported = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    pattern = rf"^\s*(import|from) (albert_core\.backends\.)?{other}\b"
    assert not re.findall(pattern, imported, re.MULTILINE)


def test_no_other_module_asks_for_the_backend() -> None:
    asking = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "albert_core").rglob("*.py")
        if re.search(r"backend\.backend\(\)|IS_JAX", path.read_text(encoding="utf-8"))
    }
    assert asking == {"albert_core/backends/__init__.py"} | MAY_NAME_THE_BACKEND


@pytest.mark.parametrize(("backend", "other"), [NAMES, NAMES[::-1]])
def test_the_library_of_the_other_backend_need_not_be_installed(backend: str, other: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    code = f"import sys; sys.modules[{other!r}] = None; import albert_core.model"
    environment = {**os.environ, "KERAS_BACKEND": backend}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
