"""The checks of style find what they are there for: each fault is planted in a small tree of its own."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(sys.argv.pop(1)).resolve()
sys.path.insert(0, str(SCRIPTS))
sys.dont_write_bytecode = True
from cpp_outline import Outline  # noqa: E402


def run(check, files):
    """Exit code and output of a check on a tree that holds `files` (path -> text)."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        done = subprocess.run([sys.executable, "-B", SCRIPTS / check, "--root", root], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Includes(unittest.TestCase):
    order = {"src/CMakeLists.txt": "foreach(area core io nn train)\nendforeach()\n"}

    def check(self, name, text):
        return run("check_includes.py", {**self.order, name: text})

    def test_downwards_is_right(self):
        code, output = self.check("src/train/a.cpp", '#include "gigacat/core/a.h"\n#include "nn/b.h"\n#include <torch/x.h>\n')
        self.assertEqual(code, 0, output)

    def test_upwards_is_wrong(self):
        for name in ("src/io/a.cpp", "include/gigacat/io/a.h"):
            code, output = self.check(name, '// "train/b.h"\n#include <map>\n#  include "gigacat/train/b.h"\n')
            self.assertEqual(code, 1)
            self.assertIn(f"{name}:3: gigacat/train/b.h: area io comes before train", output)

    def test_private_headers_count(self):
        self.assertEqual(self.check("src/core/a.h", '#include "io/b.h"\n')[0], 1)

    def test_torch_stays_out(self):
        for header in ("ATen/ATen.h", "torch/torch.h", "c10/core/Device.h"):
            code, output = self.check("src/io/deep/a.cpp", f"#include <{header}>\n")
            self.assertEqual(code, 1, header)
            self.assertIn("must not include LibTorch", output)

    def test_unknown_area(self):
        self.assertIn("area new is not in", self.check("src/new/a.cpp", "#include <map>\n")[1])


class StdIncludes(unittest.TestCase):
    def check(self, text, **more):
        return run("check_std_includes.py", {"src/core/a.cpp": text, **more})

    def test_each_needs_its_header(self):
        code, output = self.check("#include <vector>\nint a = std::min(1, 2);\n")
        self.assertEqual(code, 1)
        self.assertIn("src/core/a.cpp: std::min without #include <algorithm>", output)
        self.assertEqual(self.check("#include <algorithm>\nint a = std::min(1, 2);\n")[0], 0)

    def test_own_headers_count(self):
        header = {"src/core/b.h": "#include <cmath>\n"}
        self.assertEqual(self.check('#include "core/b.h"\nauto a = std::sqrt(2);\n', **header)[0], 0)

    def test_comments_and_texts_do_not(self):
        self.assertEqual(self.check('// std::min\nconst char* a = "std::min";\n')[0], 0)


class Declarations(unittest.TestCase):
    def check(self, header, **more):
        return run("check_declarations.py", {"include/gigacat/core/a.h": "// Head.\n#pragma once\n" + header, **more})

    def assert_fine(self, header):
        code, output = self.check(header)
        self.assertEqual(code, 0, output)

    def assert_fault(self, header, text):
        code, output = self.check(header)
        self.assertEqual(code, 1, output)
        self.assertIn(text, output)

    def test_head_covers_the_first_alone(self):
        self.assert_fine("struct A { int a; };\n")
        self.assert_fault("struct A { int a; };\n\nstruct B { int b; };\n", "a.h:5: type B has no comment")

    def test_free_functions(self):
        self.assert_fine("struct A;\n// One.\nint f(int a);\nint g(int a);\nint h();  // beside\n")
        self.assert_fault("// One.\nint f(int a);\n\nstd::vector<int> g(const std::function<int(int)>& a);\n", "function g has")
        self.assert_fault("int f();\n\nbool operator==(const A& a, const A& b);\n", "function operator_ has no comment")

    def test_methods_by_group(self):
        good = "// A.\nclass A {\n public:\n  A(int a);\n  int f();\n  ~A();\n\n  // G.\n  int g();\n\n private:\n  int h();\n};\n"
        self.assert_fine(good)
        self.assert_fault(good.replace("  // G.\n", ""), "a.h:10: function g has no comment")

    def test_what_needs_no_words(self):
        self.assert_fine("// A.\nstruct A {\n  int a;\n\n  void bind(config::Binder& b);\n\n  A(const A&) = delete;\n\n"
                         "  int f() const { return a; }\n\n  int g() override;\n};\n")

    def test_shapes(self):
        self.assert_fine("// x [B, C] to a scalar.\nat::Tensor f(const at::Tensor& x);\n")
        self.assert_fine("// Rows.\n// `x`: rows [B, C].\nstruct A {};\n\n// Sum.\nvoid f(const at::Tensor& x);\n")
        self.assert_fine("// Lists.\nvoid f(const std::vector<at::Tensor>& all);\n")
        self.assert_fault("// Sum.\nat::Tensor f(const at::Tensor& x);\n", "function f takes or gives tensors")

    def test_long_functions(self):
        body = "  work();\n" * 99
        for text, code in ((f"void f() {{\n{body}}}\n", 1), (f"// table: of all\nvoid f() {{\n{body}}}\n", 0),
                           (f"void f() {{\n{body[:-10]}}}\n", 0),
                           (f"A::A(int a) try : a_{{a}}, b_(a) {{\n{body}}} catch (...) {{\n}}\n", 1),
                           (f"namespace {{\nstruct B {{\n  int g(std::vector<int> a = {{}}) const {{\n{body}}}\n}};\n}}\n", 1)):
            result, output = self.check("int a;\n", **{"src/core/a.cpp": text})
            self.assertEqual(result, code, text[:80] + output)

    def test_long_files_are_told_and_pass(self):
        code, output = self.check("int a;\n", **{"src/core/a.cpp": "int a;\n" * 501})
        self.assertEqual(code, 0)
        self.assertIn("src/core/a.cpp: 501 lines", output)


class Outlines(unittest.TestCase):
    def test_text_in_strings_and_comments_is_no_code(self):
        outline = Outline('const char* a = "} { // no";\nconst char* b = R"x( } )" )x";\n/* { */ int f() { return \'{\'; }\n'
                          "#define M {\nint g() { return 1'000; }\n")
        self.assertEqual([d.name for d in outline.functions()], ["f", "g"])
        self.assertEqual(list(outline.comments), [3])


if __name__ == "__main__":
    unittest.main()
