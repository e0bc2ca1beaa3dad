"""Install Flink, Spark and Beam's job servers into a folder: python -m tests.engines.installation.

Flink and Spark are the jars of PyPI's apache-flink-libraries and pyspark. Beam publishes its job
servers as one jar each; where the repository does not have them, Maven makes them of their parts,
of the last version of which it has all. Beam's boot program, with which Flink and Spark start
processes of Python themselves, is built where there is Go. Needs Java, Maven and the network once.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

FOLDER_VARIABLE = "ALBERT_ENGINES"
FLINK, SPARK = "1.19.3", "3.5.7"
_OLDER_BEAM = "2.62.0"  # as in pom.xml
_POM = Path(__file__).with_name("pom.xml")
_MAVEN = "https://repo.maven.apache.org/maven2/org/apache/beam"
_ENGINES = {
    "flink": (f"apache-flink-libraries=={FLINK}", "deps/lib/", ("flink-dist", "log4j")),
    "spark": (f"pyspark=={SPARK}", "deps/jars/", ("",)),
}
_BOOT = "github.com/apache/beam/sdks/v2/python/container"
_JOB_SERVERS = {
    "flink": "beam-runners-flink-1.19-job-server",
    "spark": "beam-runners-spark-3-job-server",
}


def engines_folder() -> Path:
    """Return the folder of the engines: that of ALBERT_ENGINES, or one in the user's cache."""
    default = Path("~/.cache/albert-engines").expanduser()
    return Path(os.environ.get(FOLDER_VARIABLE) or default)


def find_missing(folder: Path) -> str:
    """Return what is missing to start the engines of a folder; empty if nothing is."""
    if shutil.which("java") is None:
        return "there is no java on the PATH"
    for engine in _ENGINES:
        if not (folder / engine).is_dir() or find_job_server(folder, engine) is None:
            return f"no {engine} in {folder} (`make test-engines` installs it)"
    return ""


def find_job_server(folder: Path, engine: str) -> Path | None:
    """Return the jar of an engine's job server in a folder, the newest; None if there is none."""
    return max(folder.glob(f"{_JOB_SERVERS[engine]}-*.jar"), default=None)


def find_boot(folder: Path) -> Path | None:
    """Return Beam's boot program in a folder; None if it is not there."""
    boot = folder / "boot"
    return boot if boot.exists() else None


def install(folder: Path) -> None:
    """Install what a folder lacks of Flink and Spark.

    Raises:
        subprocess.CalledProcessError: PyPI or Maven does not give it.
        OSError: Maven's repository is not reached, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for engine in _ENGINES:
        if not (folder / engine).is_dir():
            _install_engine(folder, engine)
        if find_job_server(folder, engine) is None:
            _install_job_server(folder, engine)


def _install_engine(folder: Path, engine: str) -> None:
    """Unpack the jars of an engine from its package on PyPI."""
    package, inner, prefixes = _ENGINES[engine]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        subprocess.run([sys.executable, "-m", "venv", f"{scratch}/venv"], check=True)
        pip = [f"{scratch}/venv/bin/pip", "download", "--quiet", "--no-deps", "--dest", scratch]
        subprocess.run([*pip, package], check=True)
        jars = Path(scratch, "jars")
        jars.mkdir()
        with tarfile.open(next(Path(scratch).glob("*.tar.gz"))) as archive:
            for member in archive:
                name = Path(member.name).name
                if inner in member.name and name.startswith(prefixes) and name.endswith(".jar"):
                    member.name = name
                    archive.extract(member, jars, filter="data")
        Path(scratch, "engine").mkdir()
        jars.rename(Path(scratch, "engine", "jars"))
        Path(scratch, "engine").rename(folder / engine)


def _install_job_server(folder: Path, engine: str) -> None:
    """Download the job server of the installed Beam, or make one of its parts."""
    import apache_beam

    artifact, version = _JOB_SERVERS[engine], apache_beam.__version__
    name = f"{artifact}-{version}.jar"
    try:
        urllib.request.urlretrieve(f"{_MAVEN}/{artifact}/{version}/{name}", folder / f".{name}")
        (folder / f".{name}").rename(folder / name)
    except urllib.error.HTTPError:
        print(f"no {name} in the repository: making {artifact}-{_OLDER_BEAM}.jar", flush=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            maven = ["mvn", "--batch-mode", "--quiet", "--file", str(_POM), "--activate-profiles"]
            subprocess.run([*maven, engine, f"-Dfolder={scratch}", "package"], check=True)
            jar = next(Path(scratch).glob("*.jar"))
            jar.rename(folder / jar.name)


def _install_boot(folder: Path) -> None:
    """Build the boot program of the installed Beam, which is not in its Python package."""
    import apache_beam

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        # Without C's libraries, as Beam builds it: else it ends at once where the user it runs as
        # has no entry in /etc/passwd, as in a container.
        environment = {**os.environ, "GOBIN": scratch, "CGO_ENABLED": "0"}
        command = ["go", "install", f"{_BOOT}@v{apache_beam.__version__}"]
        subprocess.run(command, check=True, env=environment)
        Path(scratch, "container").rename(folder / "boot")


def main() -> None:
    """Install into the folder; end with a line that says what is missing to do so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=engines_folder())
    folder = parser.parse_args().folder
    try:
        if find_missing(folder):
            for program in ("java", "mvn"):
                if shutil.which(program) is None:
                    sys.exit(f"tests.engines: no {program} on the PATH; install Java 17 and Maven")
            print(f"installing Flink, Spark and job servers into {folder} (900 MB)", flush=True)
            install(folder)
        if find_boot(folder) is None and shutil.which("go"):
            print(f"building Beam's boot program in {folder}", flush=True)
            _install_boot(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"tests.engines: {error}; this needs PyPI, Maven's repository and Go's, once")


if __name__ == "__main__":
    main()
