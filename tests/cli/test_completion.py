"""Completions complete, and the manual page names every command. zsh, fish and man are used where they are."""

import shutil
import subprocess
import unittest

from harness import CliTest, main

BASH = """
source "$1"
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gigacat; echo "${COMPREPLY[*]}"; }
complete_words gigacat ex
complete_words gigacat edit st
complete_words gigacat edit style-mix --cr
complete_words gigacat train --resume runs/00000-a --all
complete_words gigacat train conf
complete -p gigacat
"""

FISH = """
source $argv[1]
for line in "gigacat ex" "gigacat edit st" "gigacat edit style-mix --cr"
  complete --do-complete $line | cut -f1
end
"""

ZSH = """
autoload -Uz compinit && compinit -u -d "$2" && source "$1"
_describe() { local -a found=(${(P)@[-1]}); print -r -- ${found%%:*}; }
_files() { print files; }
words=(gigacat edit ''); CURRENT=3; _gigacat
words=(gigacat edit style-mix --); CURRENT=4; _gigacat
words=(gigacat train ''); CURRENT=3; _gigacat
"""


class CompletionTest(CliTest):
    def script(self, shell):
        return self.write("gigacat." + shell, self.gigacat("completion", shell).stdout)

    def lines(self, shell, code, *args):
        done = subprocess.run([shell, self.write("try." + shell, code), self.script(shell), *args], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_bash(self):
        lines = self.lines("bash", BASH)
        self.assertEqual(lines[:5], ["export", "style-mix", "--crossover", "--allow", ""])
        self.assertEqual(lines[5], "complete -o default -F _gigacat gigacat")

    @unittest.skipUnless(shutil.which("fish"), "needs fish")
    def test_fish(self):
        self.assertEqual(self.lines("fish", FISH), ["export", "style-mix", "--crossover"])

    @unittest.skipUnless(shutil.which("zsh"), "needs zsh")
    def test_zsh(self):
        lines = self.lines("zsh", ZSH, self.path("dump"))
        self.assertEqual(lines[0], "interpolate style-mix prompt-mix truncation project")
        self.assertIn("--crossover", lines[1].split())
        self.assertEqual(lines[2], "files")

    def test_an_unknown_shell_is_refused(self):
        self.assertIn("bash, zsh and fish", self.refused("completion", "tcsh"))

    def test_man(self):
        page = self.gigacat("man").stdout
        for words in (".TH GIGACAT 1", '.SS "gigacat edit style\\-mix"', "\\-\\-crossover", ".SH \"EXIT STATUS\""):
            self.assertIn(words, page)
        if shutil.which("groff"):
            done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=page, capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    main()
