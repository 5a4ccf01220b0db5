"""What train and sample show on a terminal: pictures where it can draw them, nothing of them elsewhere."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from harness import BIN, CliTest, clean_environment, main

PLAIN = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "", "LC_CTYPE": "", "COLORTERM": "", "TERM_PROGRAM": "",
         "TMUX": "", "NO_COLOR": "", "GIGACAT_IMAGES": ""}
BLOCK = "\u2580"
SIXEL = "\033P0;1q"


class TerminalTest(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.the_run = cls.run_folder(cls.shared)
        cls.gigacat("train", cls.tiny(cls.shared))

    def on_terminal(self, *words, columns=80, rows=40, **variables):
        """What the program writes to a terminal of that size, as text."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen([BIN, *map(str, words)], env=clean_environment({**PLAIN, **variables}), stdin=its,
                                   stdout=its, stderr=subprocess.DEVNULL, close_fds=True)
        os.close(its)
        text, deadline = b"", time.monotonic() + 90
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                if not piece:
                    break
                text += piece
        self.assertEqual(process.wait(20), 0)
        os.close(ours)
        return text.decode()

    def sample(self, **variables):
        return self.on_terminal("sample", self.the_run, "-o", self.path("grid.png"), "--count", 40, **variables)

    def test_half_blocks(self):
        text = self.sample()
        self.assertIn("\033[38;5;", text)
        self.assertNotIn("\033[38;2;", text)
        lines = [line for line in text.splitlines() if BLOCK in line]
        # Images of 8 px are 8 columns wide: nine of them and the gaps between fill all 80 columns, seven more come below.
        self.assertEqual([line.count(BLOCK) for line in lines], [9 * 8] * 4 + [7 * 8] * 4)
        self.assertTrue(all(line.endswith("\033[0m") for line in lines), "colours are set back at the end of a line")
        self.assertIn("16 of 40 samples", text)
        self.assertIn("40 samples of", text)
        self.assertIn(self.path("grid.png"), text)

    def test_true_colour_and_narrow_terminals(self):
        text = self.sample(COLORTERM="truecolor", columns=20)
        self.assertIn("\033[38;2;", text)
        lines = [line for line in text.splitlines() if BLOCK in line]
        self.assertEqual(lines[0].count(BLOCK), 16)
        self.assertIn("4 of 40 samples", text)
        tiny = self.sample(columns=3, rows=4)
        self.assertEqual([line.count(BLOCK) for line in tiny.splitlines() if BLOCK in line], [3, 3])
        self.assertNotIn("Error", self.sample(columns=0, rows=0))

    def test_sixels_where_they_are_known(self):
        for variables in ({"TERM": "foot"}, {"TERM_PROGRAM": "WezTerm"}, {"GIGACAT_IMAGES": "sixel"}):
            with self.subTest(variables=variables):
                text = self.sample(**variables)
                self.assertEqual(text.count(SIXEL), 1)
                self.assertNotIn(BLOCK, text)
                width, height = map(int, re.search(r'q"1;1;(\d+);(\d+)#0', text).groups())
                self.assertLessEqual(width, 80 * 8)
                self.assertLessEqual(height, 40 * 16)
                self.assertIn("\033\\", text)
        self.assertNotIn(SIXEL, self.sample(TERM_PROGRAM="WezTerm", TMUX="/tmp/tmux,1,0"))

    def test_nothing_where_a_terminal_does_not_say_so(self):
        for variables in ({"TERM": "dumb"}, {"TERM": ""}, {"TERM": "vt220"}, {"LANG": "C"}, {"LC_ALL": "POSIX"},
                          {"NO_COLOR": "1"}, {"GIGACAT_IMAGES": "none"}):
            with self.subTest(variables=variables):
                text = self.sample(**variables)
                self.assertNotIn("\033", text)
                self.assertIn(self.path("grid.png"), text)
        piped = self.gigacat("sample", self.the_run, "-o", self.path("grid.png"), env={**PLAIN, "COLORTERM": "truecolor"})
        self.assertNotIn("\033", piped.stdout)

    def test_folders_and_arrays_are_shown_too(self):
        for out in ("folder", "samples.npz"):
            self.assertIn(BLOCK, self.on_terminal("sample", self.the_run, "-o", self.path(out), "--count", 2))

    def test_training_ends_with_samples(self):
        config = self.tiny(self.dir)
        text = self.on_terminal("train", config, COLORTERM="24bit")
        self.assertIn(BLOCK, text)
        self.assertIn("4 of 4 samples", text)
        told = self.gigacat("train", config)
        self.assertEqual(told.stdout, "")
        self.assertRegex(told.stderr, r"samples: \S+/samples/fakes-0000006.png\n")
        self.assertRegex(told.stderr, r"gigacat report \S+/runs/00001-tiny -o report.html\n")

    def test_a_wrong_wish_is_refused(self):
        ours, its = pty.openpty()
        done = subprocess.run([BIN, "sample", self.the_run, "-o", self.path("grid.png")], stdin=its, stdout=its,
                              env=clean_environment({**PLAIN, "GIGACAT_IMAGES": "ascii"}), stderr=subprocess.PIPE, text=True, check=False)
        os.close(its)
        os.close(ours)
        self.assertEqual(done.returncode, 2)
        self.assertIn("GIGACAT_IMAGES", done.stderr)


if __name__ == "__main__":
    main()
