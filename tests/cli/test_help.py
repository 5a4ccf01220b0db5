"""Help, flags, usage errors, version, doctor."""

import os
import re
import time

from harness import SOURCE, CliTest, main, read_text

COMMANDS = ["", "train", "sample", "upsample", "eval", "edit", "edit interpolate", "edit style-mix", "edit prompt-mix",
            "edit truncation", "edit project", "data", "data emoji", "data encode", "data filter", "data inspect", "data stats", "config", "config list", "config show",
            "config check", "config schema", "config docs", "sweep", "sweep plan", "sweep run", "sweep status",
            "sweep report", "report", "weights", "weights list", "weights get", "weights verify", "weights where", "import", "export",
            "info", "doctor", "completion", "man", "version"]


class HelpTest(CliTest):
    def help_of(self, command):
        return self.gigacat(*command.split(), "--help").stdout

    def test_every_command_has_help_with_an_example(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                text = self.help_of(command)
                self.assertIn("Example:\n  gigacat " + command.split(" ")[0], text)
                self.assertIn("--help", text)

    def test_the_list_of_commands_is_complete(self):
        for parent in ("", "edit", "data", "config", "sweep", "weights"):
            listed = re.findall(r"^  ([a-z-]+) ", self.help_of(parent).split("Subcommands:")[1].split("Example:")[0], re.M)
            known = [c[len(parent):].strip() for c in COMMANDS if c.startswith(parent) and c != parent]
            self.assertEqual(sorted(listed), sorted(c for c in known if " " not in c), parent)

    def test_flags_are_those_of_the_list(self):
        """A new flag must be worth its place: what a config can say is said as KEY=VALUE."""
        found = []
        for command in COMMANDS:
            for flags in re.findall(r"^  (-[\w,-]+)", self.help_of(command), re.M):
                found.append(("gigacat " + command).strip() + " " + flags)
        self.assertEqual("\n".join(found) + "\n", read_text(SOURCE + "/tests/cli/flags.txt"))

    def test_usage_errors_exit_with_2(self):
        for words in ([], ["trian"], ["train", "--stpes", "3"], ["train"], ["sample"], ["sample", "x"], ["config"],
                      ["config", "show"], ["data", "emoji"], ["train", "a.yaml", "--ranks", "0"],
                      ["train", "a.yaml", "--ranks", "two"], ["sample", "x", "-o", "y", "--seed", "1", "--seeds", "2"],
                      ["version", "extra"], ["info"]):
            with self.subTest(words=words):
                message = self.refused(*words)
                self.assertEqual(len(message.strip().splitlines()), 1, message)

    def test_version_is_one_line_and_fast(self):
        began = time.monotonic()
        self.assertRegex(self.gigacat("version").stdout, r"^gigacat \d+\.\d+\.\d+\n$")
        self.assertLess(time.monotonic() - began, 5)

    def test_doctor_says_what_is_here(self):
        text = self.gigacat("doctor").stdout
        for word in ("program", "LibTorch", "compiler", "CPU", "threads", "GPUs", "training can run"):
            self.assertIn(word, text)

    def test_doctor_reads_launchers_as_train_does(self):
        self.assertIn("1, by no launcher (variables left over: RANK=0)", self.gigacat("doctor", env={"RANK": "0"}).stdout)
        text = self.gigacat("doctor", env={"RANK": "3"}, code=1).stdout
        self.assertIn("FAIL  processes environment: RANK is set but WORLD_SIZE is not (RANK=3): unset RANK", text)
        self.assertIn("training cannot run", text)

    def test_doctor_says_what_cannot_be_written(self):
        text = self.gigacat("doctor", env={"GIGACAT_CACHE": "/proc/cache"}).stdout
        self.assertRegex(text, r"note +cache +/proc/cache cannot be written \(/proc: ")
        text = self.gigacat("doctor", env={"GIGACAT_CACHE": self.write("file", "x") + "/cache"}).stdout
        self.assertRegex(text, r"note +cache .*file is no folder")
        self.assertRegex(self.gigacat("doctor", cwd="/proc").stdout, r"note +runs +/proc cannot be written \(/proc: ")
        text = self.gigacat("doctor", env={"GIGACAT_CACHE": self.path("cache", "deeper")}, cwd=self.dir).stdout
        self.assertRegex(text, r"ok +cache ")
        self.assertRegex(text, r"ok +runs ")
        self.assertFalse(os.path.exists(self.path("cache")), "nothing is left behind")


if __name__ == "__main__":
    main()
