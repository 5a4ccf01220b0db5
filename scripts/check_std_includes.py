#!/usr/bin/env python3
"""Fails when a file uses a part of the standard library whose header neither it nor an own header it includes names.

Which headers of the standard library bring in which others changes from one compiler to the next: what builds on Debian
12 need not build on Debian 13. Looked at are those headers that are most often there by accident.

    scripts/check_std_includes.py [--root FOLDER]
"""
import argparse
import pathlib
import re
import sys

NAMES = {
    "algorithm": "all_of any_of none_of sort stable_sort find find_if find_if_not find_first_of copy copy_if copy_n fill "
                 "fill_n min_element max_element minmax_element minmax count count_if transform reverse unique equal "
                 "lower_bound upper_bound equal_range binary_search remove remove_if replace rotate shuffle clamp "
                 "nth_element partial_sort partition is_sorted mismatch search adjacent_find set_difference for_each "
                 "generate includes next_permutation lexicographical_compare min max",
    "array": "array",
    "atomic": "atomic",
    "cmath": "sqrt exp log log2 log10 pow floor ceil round lround llround lrint isfinite isnan isinf cos sin tan tanh "
             "atan2 hypot fmod nearbyint",
    "chrono": "chrono",
    "cstdio": "printf fprintf snprintf fputs fopen fclose fflush perror",
    "cstdlib": "getenv strtol strtoll strtoull strtod exit abort malloc free",
    "cstring": "memcpy memset memcmp memmove strlen strcmp strerror strchr",
    "functional": "function",
    "iterator": "back_inserter inserter make_move_iterator advance distance next prev istreambuf_iterator",
    "limits": "numeric_limits",
    "mutex": "mutex lock_guard unique_lock scoped_lock",
    "numeric": "accumulate iota gcd lcm inner_product partial_sum reduce exclusive_scan",
    "optional": "optional nullopt",
    "sstream": "stringstream istringstream ostringstream",
    "thread": "thread jthread",
    "tuple": "tuple tie make_tuple",
    "variant": "variant visit get_if holds_alternative",
}
USES = {header: re.compile(r"\bstd::(%s)\b" % names.replace(" ", "|")) for header, names in NAMES.items()}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^">]+)[">]', re.MULTILINE)
FOLDERS = ("include", "src", "tests", "tools")


class Headers:
    """What a file includes, by way of this project's headers too."""

    def __init__(self, root):
        self.roots = [root / "include", root / "src", root / "tests", root / "tools/gigacat"]
        self.known = {}

    def own(self, header, beside):
        for folder in [*self.roots, beside]:
            if (folder / header).is_file():
                return folder / header
        return None

    def of(self, path):
        if path not in self.known:
            self.known[path] = set()  # a file that includes itself ends here
            found = set(INCLUDE.findall(path.read_text()))
            for header in list(found):
                if own := self.own(header, path.parent):
                    found |= self.of(own)
            self.known[path] = found
        return self.known[path]


def code_of(path):
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    headers, faults, files = Headers(root), [], 0
    for path in sorted(p for folder in FOLDERS for p in (root / folder).rglob("*") if p.suffix in {".h", ".cpp", ".cu"}):
        files += 1
        code, there = code_of(path), headers.of(path)
        for header, uses in USES.items():
            if header not in there and (use := uses.search(code)):
                faults.append(f"{path.relative_to(root)}: {use.group(0)} without #include <{header}>")
    print("\n".join(faults + [f"{files} files looked at, {len(faults)} headers missing"]))
    return 1 if faults or not files else 0


if __name__ == "__main__":
    sys.exit(main())
