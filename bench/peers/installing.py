"""An environment per product, outside of the repository, kept for the next time; and how much room it takes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from bench.driving import ROOT
from bench.peers.products import Product


def cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "autoforge-bench"


def installed(product: Product) -> Path:
    """The product's environment; made by pip from the package index when it is not there yet."""
    if product.packages:
        return _made(product.packages[0].replace("==", "-"), list(product.packages))
    pins = ROOT / "requirements.txt"
    name = f"autoforge-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    environment = _made(name, ["--no-deps", "-r", str(pins)])
    site = next((environment / "lib").glob("python*/site-packages"))
    (site / "autoforge-nexus.pth").write_text(f"{ROOT}\n")
    return environment


def _made(name: str, packages: list[str]) -> Path:
    environment = cache_folder() / name
    if not (environment / "complete").exists():
        print(f"Installing {name} in {cache_folder()} (once).", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        (environment / "complete").touch()
    return environment


def megabytes(product: Product, environment: Path) -> float:
    """What is installed, pip itself included, and our own code where it is not in the environment."""
    size = _size(environment)
    return (size if product.packages else size + _size(ROOT / "autoforge")) / 1e6


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() or path.is_symlink())
