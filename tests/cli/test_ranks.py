"""Several processes give what one gives, however they are started."""

import os
import signal
import socket
import subprocess
import time
import unittest

from harness import BIN, PYTHON, CliTest, clean_environment, has_torch, main, read_text


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RanksTest(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = cls.tiny(cls.shared)
        cls.keys = ["train.steps=20", "checkpoint.every=20"]
        cls.gigacat("train", cls.config, *cls.keys)
        cls.reference = cls.checkpoint(cls.run_folder(cls.shared), 20)

    def compare(self, out):
        self.assert_same_weights(self.checkpoint(out + "/00000-tiny", 20), self.reference, tolerance=1e-4)

    def start_ranks(self, world, out, *extra):
        port = free_port()
        return [self.start("train", self.config, *self.keys, "out=" + out, *extra, env={
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}) for rank in range(world)]

    def test_two_local_ranks(self):
        done = self.gigacat("train", self.config, *self.keys, "out=" + self.path("two"), "--ranks", 2)
        self.assertIn("[0]", done.stdout + done.stderr)
        self.compare(self.path("two"))

    def test_torchrun_variables(self):
        processes = self.start_ranks(2, self.path("torchrun"))
        for process in processes:
            _, errors = process.communicate(timeout=100)
            self.assertEqual(process.returncode, 0, errors)
        self.compare(self.path("torchrun"))

    def test_accumulation_is_a_larger_batch(self):
        self.gigacat("train", self.config, *self.keys, "out=" + self.path("acc"), "train.accumulate=2")
        self.compare(self.path("acc"))

    def test_another_rank_count_goes_on(self):
        out = self.path("more")
        self.gigacat("train", self.config, *self.keys, "out=" + out, "train.steps=10", "checkpoint.every=10")
        self.gigacat("train", "--resume", out + "/00000-tiny", "train.steps=20", "--ranks", 2)
        self.compare(out)

    def test_one_that_dies_ends_the_others(self):
        out = self.path("dies")
        keys = [key for key in self.keys if "steps" not in key]
        process = self.start("train", self.config, *keys, "out=" + out, "train.steps=100000", "--ranks", 2)
        while not os.path.exists(self.checkpoint(out + "/00000-tiny", 20)):
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        victim = int(read_text("/proc/%d/task/%d/children" % (process.pid, process.pid)).split()[-1])
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertLess(time.monotonic() - began, 30)

    def kill_a_rank(self, process, index):
        """SIGKILL for one of the launcher's children, as soon as there are two."""
        children = "/proc/%d/task/%d/children" % (process.pid, process.pid)
        while len(read_text(children).split()) < 2:
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        os.kill(int(read_text(children).split()[index]), signal.SIGKILL)

    def test_restarts_after_a_rank_has_died(self):
        undisturbed, out = self.path("undisturbed"), self.path("restarts")
        keys = ["train.steps=60", "checkpoint.every=5", "checkpoint.keep_last=20"]
        self.gigacat("train", self.config, *keys, "out=" + undisturbed, "--ranks", 2)
        process = self.start("train", self.config, *keys, "out=" + out, "--ranks", 2, "--max-restarts", 3)
        for step, victim in ((10, 0), (25, 1)):
            while not os.path.exists(self.checkpoint(out + "/00000-tiny", step)):
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            self.kill_a_rank(process, victim)
        _, errors = process.communicate(timeout=100)
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn("restart 2 of 3, ranks: 2", errors)
        self.assertEqual(os.listdir(out), ["00000-tiny"])
        self.assert_same_weights(self.checkpoint(out + "/00000-tiny", 60), self.checkpoint(undisturbed + "/00000-tiny", 60))

    @unittest.skipUnless(has_torch(), "needs PyTorch: set GIGACAT_TORCH_PYTHON")
    def test_restarts_by_torchruns_agent(self):
        undisturbed, out = self.path("undisturbed"), self.path("agent")
        keys = ["train.steps=60", "checkpoint.every=5", "checkpoint.keep_last=20"]
        self.gigacat("train", self.config, *keys, "out=" + undisturbed, "--ranks", 2)
        agent = subprocess.Popen(
            [PYTHON, "-m", "torch.distributed.run", "--no-python", "--nproc-per-node", "2", "--max-restarts", "3",
             "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:%d" % free_port(), "--monitor-interval", "0.1",
             BIN, "train", self.config, *keys, "out=" + out],
            env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for step, victim in ((10, 0), (25, 1)):
            while not os.path.exists(self.checkpoint(out + "/00000-tiny", step)):
                self.assertIsNone(agent.poll())
                time.sleep(0.01)
            self.kill_a_rank(agent, victim)
        said, _ = agent.communicate(timeout=150)
        self.assertEqual(agent.returncode, 0, said)
        self.assertEqual(os.listdir(out), ["00000-tiny"])
        self.assert_same_weights(self.checkpoint(out + "/00000-tiny", 60), self.checkpoint(undisturbed + "/00000-tiny", 60))

    def test_restarts_on_fewer_ranks(self):
        out = self.path("fewer")
        process = self.start("train", self.config, *self.keys, "out=" + out, "--ranks", 2, "--max-restarts", 1,
                             "--min-ranks", 1)
        self.kill_a_rank(process, 1)
        _, errors = process.communicate(timeout=100)
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn("restart 1 of 1, ranks: 1", errors)
        self.compare(out)

    def test_mistakes_are_no_reason_to_restart(self):
        message = self.refused("train", self.config, "train.batch=9", "--ranks", 2, "--max-restarts", 3)
        self.assertNotIn("restart", message)

    def test_the_first_error_is_said(self):
        message = self.refused("train", self.config, "data.path=" + self.path("nowhere"), "--ranks", 2)
        self.assertIn("nowhere", message)

    def test_a_batch_that_cannot_be_split(self):
        self.assertIn("divisible", self.refused("train", self.config, "train.batch=9", "--ranks", 2))

    def test_a_rank_without_a_rank_0_says_where_it_looks(self):
        place = "127.0.0.1:%d" % (port := free_port())
        message = self.refused("train", self.config, "out=" + self.path("alone"), "train.timeout=12", code=1, env={
            "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port)})
        self.assertIn("rank 1 has tried to reach rank 0 at %s for 10 s" % place, message)
        self.assertIn("rank 1 found no rank 0 at %s within 12 s" % place, message)

    def test_ranks_within_a_launcher(self):
        def variables(world):
            return {"RANK": "0", "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}

        message = self.refused("train", self.config, "--ranks", 2, env=variables(3))
        self.assertIn("--ranks 2 but torchrun has started 3, by RANK=0 of WORLD_SIZE=3", message)
        self.assertIn("RANK", self.refused("train", self.config, env={"RANK": "two", "WORLD_SIZE": "2"}))
        done = self.gigacat("train", self.config, *self.keys, "out=" + self.path("pod"), "--ranks", 2, env=variables(1))
        self.assertIn("processes: 2, by --ranks; without it 1, by RANK=0 of WORLD_SIZE=1", done.stderr)
        self.compare(self.path("pod"))


if __name__ == "__main__":
    main()
