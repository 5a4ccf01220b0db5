#!/usr/bin/env python3
"""Fails when an #include goes against the order of the areas.

The order is the foreach() of src/CMakeLists.txt: an area includes itself and those before it. Areas core, io and data
include nothing of LibTorch. tools/ and tests/ may include everything.

    scripts/check_includes.py [--root FOLDER]
"""
import argparse
import pathlib
import re
import sys

WITHOUT_TORCH = {"core", "io", "data"}
TORCH = re.compile(r"(ATen|torch|c10|caffe2)/")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^">]+)[">]', re.MULTILINE)


def area_order(root):
    text = (root / "src/CMakeLists.txt").read_text()
    listed = re.search(r"foreach\s*\(\s*area\s+([^)]*)\)", text)
    if not listed:
        sys.exit("check_includes: src/CMakeLists.txt has no foreach(area ...) any more")
    return listed.group(1).split()


def sources(root):
    """(area, path) of each source and header that belongs to an area."""
    for base in (root / "include/gigacat", root / "src"):
        for path in sorted(base.rglob("*")):
            if path.suffix in {".h", ".cpp", ".cu", ".cuh"} and len(path.relative_to(base).parts) > 1:
                yield path.relative_to(base).parts[0], path


def included_area(header, areas):
    parts = header.removeprefix("gigacat/").split("/")
    return parts[0] if len(parts) > 1 and parts[0] in areas else None


def fault_of(area, header, areas):
    if area not in areas:
        return f"area {area} is not in src/CMakeLists.txt"
    if area in WITHOUT_TORCH and TORCH.match(header):
        return f"area {area} must not include LibTorch"
    other = included_area(header, areas)
    if other and areas.index(other) > areas.index(area):
        return f"area {area} comes before {other} in src/CMakeLists.txt and must not include it"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    areas = area_order(root)
    faults, includes = [], 0
    for area, path in sources(root):
        text = path.read_text()
        for found in INCLUDE.finditer(text):
            includes += 1
            if fault := fault_of(area, found.group(1), areas):
                line = text.count("\n", 0, found.start(1)) + 1
                faults.append(f"{path.relative_to(root)}:{line}: {found.group(1)}: {fault}")
    print("\n".join(faults + [f"{includes} includes looked at, {len(faults)} against the order"]))
    return 1 if faults or not includes else 0


if __name__ == "__main__":
    sys.exit(main())
