#!/usr/bin/env python3
"""Checks that public declarations are explained and that functions stay short.

In include/gigacat each class, struct, free function and group of public methods (members without a blank line between
them) has a comment above or beside it; for plain data comments beside its fields do, and a class's comment covers its
first group of methods. Functions that take or give tensors say their shapes ("[B, C, H, W]", "scalar", "of one shape"):
beside them, in their class's comment, or once for the parameter's name anywhere in the header.
In include, src and tools no function is longer than 100 lines, unless a line "// table: why" stands right above it.
Files over 500 lines are listed.

    scripts/check_declarations.py [--root FOLDER]
"""
import argparse
import pathlib
import re
import statistics
import sys

from cpp_outline import Outline

LONGEST_FUNCTION = 100
LONGEST_FILE = 500
TENSOR = re.compile(r"\b(?:at|torch)::Tensor\b(?!\s*[&*]*\s*>)")  # lists of tensors hold any shapes
SHAPE = re.compile(r"\[\s*(?:[A-Z0-9]|\.\.\.)[^\]]*\]|\bscalars?\b|\bshapes?\b", re.IGNORECASE)
# Explained once for all: a config's own declaration (core/config.h), and what the language gives.
SELF_EXPLAINING = re.compile(r"\bbind\s*\(\s*(?:\w+::)*Binder\s*&|=\s*(?:default|delete)\s*$|\boverride\b")


class Header:
    def __init__(self, path):
        self.outline = Outline(path.read_text())
        self.all_comments = " ".join(text for _, text in sorted(self.outline.comments.items()))
        self.head = self.block_below(1)

    def block_below(self, line):
        texts = []
        while line in self.outline.comments and line not in self.outline.with_code:
            texts.append(self.outline.comments[line])
            line += 1
        return " ".join(texts)

    def block_above(self, line):
        texts = []
        line -= 1
        while line in self.outline.comments and line not in self.outline.with_code:
            texts.insert(0, self.outline.comments[line])
            line -= 1
        return " ".join(texts)

    def comment_of(self, declaration):
        """What stands above the declaration and beside its head; for a type also what stands beside its fields."""
        texts = [self.block_above(declaration.first)]
        texts += [self.outline.comments.get(n, "") for n in range(declaration.first, declaration.head_last + 1)]
        for member in declaration.members:
            if member.kind == "other" and member.public:
                texts += [self.outline.comments.get(n, "") for n in range(member.first, member.last + 1)]
        return " ".join(texts).strip()

    def groups(self, declarations):
        """Runs of declarations that no blank line parts."""
        group = []
        for declaration in declarations:
            if group and any(n in self.outline.blank for n in range(group[-1].last, declaration.first)):
                yield group
                group = []
            group.append(declaration)
        if group:
            yield group


def is_plain(declaration):
    """Destructors, what SELF_EXPLAINING lists, and accessors of one line."""
    head = declaration.head.strip()
    is_accessor = declaration.has_body and declaration.lines == 1 and re.search(r"\(\)\s*const$", head)
    return declaration.name.startswith("~") or is_accessor or SELF_EXPLAINING.search(head)


def names_shape(header, declaration, comments):
    if SHAPE.search(comments):
        return True
    parameters = re.findall(r"(?:at|torch)::Tensor(?:List)?\s*[&*]*\s*(\w+)\s*[,)=]", declaration.head)
    named = [p for p in parameters if re.search(rf"\b{p}\b[^\[]{{0,60}}\[", header.all_comments)]
    return bool(parameters) and named == parameters


def check_group(header, group, enclosing, is_covered):
    comments = " ".join(header.comment_of(d) for d in group).strip()
    for declaration in group:
        if declaration.kind == "type":
            if not header.comment_of(declaration):
                yield declaration, f"type {declaration.name} has no comment"
        elif declaration.kind == "function" and not is_plain(declaration):
            if not comments and not is_covered:
                yield declaration, f"function {declaration.name} has no comment"
            elif TENSOR.search(declaration.head) and not names_shape(header, declaration, comments + " " + enclosing):
                yield declaration, f"function {declaration.name} takes or gives tensors and names no shape"


def check_scope(header, declarations, enclosing):
    """`enclosing`: the comment of the class around, which covers its first group."""
    for i, group in enumerate(header.groups([d for d in declarations if d.public])):
        yield from check_group(header, group, enclosing, bool(enclosing) and i == 0)
    for declaration in declarations:
        if declaration.kind == "type" and declaration.public:
            yield from check_scope(header, declaration.members, header.comment_of(declaration))


def check_header(path):
    header = Header(path)
    declarations = [d for d in header.outline.declarations if d.kind != "other"]
    # The comment that heads a file explains the first thing in it too.
    first = declarations[0] if declarations else None
    for declaration, fault in check_scope(header, declarations, ""):
        if not (declaration is first and header.head and fault.endswith("no comment")):
            yield declaration.first, fault


def is_table(outline, function):
    return any(outline.comments.get(n, "").startswith("table:") for n in (function.first - 1, function.first))


def files(root, folders, suffixes):
    for folder in folders:
        yield from (p for p in sorted((root / folder).rglob("*")) if p.suffix in suffixes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    faults, long_files, lengths, headers = [], [], [], 0
    for path in files(root, ["include/gigacat"], {".h"}):
        headers += 1
        faults += [f"{path.relative_to(root)}:{line}: {fault}" for line, fault in check_header(path)]
    for path in files(root, ["include", "src", "tools"], {".h", ".cpp", ".cu", ".cuh"}):
        outline = Outline(path.read_text())
        if outline.line_count > LONGEST_FILE:
            long_files.append(f"{path.relative_to(root)}: {outline.line_count} lines")
        for function in outline.functions():
            lengths.append(function.lines)
            if function.lines > LONGEST_FUNCTION and not is_table(outline, function):
                faults.append(f"{path.relative_to(root)}:{function.first}: {function.name} has {function.lines} lines")
    print("\n".join(faults))
    if lengths:
        ordered = sorted(lengths)
        print(f"{len(ordered)} functions: median {statistics.median(ordered):.0f} lines, 95 % within "
              f"{ordered[len(ordered) * 95 // 100]}, longest {ordered[-1]}")
    print(f"{len(long_files)} files over {LONGEST_FILE} lines" + "".join("\n  " + line for line in long_files))
    print(f"{headers} public headers, {len(faults)} faults")
    return 1 if faults or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
