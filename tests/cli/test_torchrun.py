"""Runs under torchrun's agents: two and three of them on one machine stand for as many machines."""

import json
import os
import signal
import subprocess
import time
import unittest

from harness import BIN, PYTHON, CliTest, clean_environment, has_torch, main, read_text
from test_ranks import free_port


def children(process):
    try:
        return [int(word) for word in read_text("/proc/%d/task/%d/children" % (process, process)).split()]
    except FileNotFoundError:
        return []


class Agent:
    """One torchrun with one worker. `log`: its output and the worker's."""

    def __init__(self, log, endpoint, nodes, command, share_store, restarts=3):
        words = [PYTHON, "-m", "torch.distributed.run", "--no-python", "--nnodes", nodes, "--nproc-per-node", "1",
                 "--max-restarts", str(restarts), "--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint,
                 "--rdzv-conf", "join_timeout=60,last_call_timeout=1,keep_alive_interval=1", "--local-addr", "127.0.0.1",
                 "--monitor-interval", "0.1"]
        variables = {} if share_store else {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        self.log = log
        with open(log, "w") as file:
            self.process = subprocess.Popen(words + command, env=clean_environment(variables), stdin=subprocess.DEVNULL,
                                            stdout=file, stderr=subprocess.STDOUT, start_new_session=True)

    def worker(self):
        """The number of its worker, or None."""
        for child in children(self.process.pid):
            try:
                if read_text("/proc/%d/cmdline" % child).split("\0")[0] == BIN:
                    return child
            except (FileNotFoundError, ProcessLookupError):
                pass
        return None

    def kill_machine(self):
        """All that runs on its machine."""
        worker = self.worker()
        self.process.kill()
        if worker:
            os.kill(worker, signal.SIGKILL)
        self.process.wait()

    def end(self):
        if self.process.poll() is None:
            self.kill_machine()


@unittest.skipUnless(has_torch(), "needs PyTorch: set GIGACAT_TORCH_PYTHON")
class TorchrunTest(CliTest):
    STEPS = 60

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = cls.tiny(cls.shared)
        # Slow enough that a run does not end before it has been disturbed.
        cls.keys = ["train.batch=12", "train.steps=%d" % cls.STEPS, "checkpoint.every=5", "checkpoint.keep_last=100",
                    "train.timeout=20", "log.samples_every=1", "log.sample_count=256"]
        cls.gigacat("train", cls.config, *cls.keys, "out=" + cls.shared + "/undisturbed", "--ranks", 2)
        cls.reference = cls.checkpoint(cls.shared + "/undisturbed/00000-tiny", cls.STEPS)

    def setUp(self):
        super().setUp()
        self.agents = []
        self.out = self.path("out")
        self.endpoint = "127.0.0.1:%d" % free_port()

    def tearDown(self):
        for agent in self.agents:
            agent.end()

    def start(self, nodes, share_store=True, count=1):
        command = [BIN, "train", self.config, *self.keys, "out=" + self.out]
        for _ in range(count):
            log = self.path("agent-%d.log" % len(self.agents))
            self.agents.append(Agent(log, self.endpoint, nodes, command, share_store))

    def said(self):
        return "\n".join(agent.log + "\n" + read_text(agent.log)[-3000:] for agent in self.agents)

    def wait_for_step(self, step):
        until = time.monotonic() + 120
        while not os.path.exists(self.checkpoint(self.out + "/00000-tiny", step) + "/COMMIT"):
            self.assertLess(time.monotonic(), until, self.said())
            self.assertTrue(any(agent.process.poll() is None for agent in self.agents), self.said())
            time.sleep(0.01)

    def finish(self, agents):
        for agent in agents:
            try:
                agent.process.wait(timeout=200)
            except subprocess.TimeoutExpired:
                self.fail(self.said())
            self.assertEqual(agent.process.returncode, 0, self.said())
        self.assertEqual(os.listdir(self.out), ["00000-tiny"])
        return self.checkpoint(self.out + "/00000-tiny", self.STEPS)

    def starts(self, key="step"):
        return [start[key] for start in json.loads(read_text(self.out + "/00000-tiny/run.json"))["starts"]]

    def ranks(self):
        return self.starts("ranks")

    def test_a_worker_is_killed(self):
        self.start("2", count=2)
        for step, victim in ((10, 1), (30, 0)):
            self.wait_for_step(step)
            os.kill(self.agents[victim].worker(), signal.SIGKILL)
        self.assert_same_weights(self.finish(self.agents), self.reference)
        self.assertGreaterEqual(len(self.starts()), 3)
        self.assertGreaterEqual(self.starts()[1], 10)

    def test_a_machine_is_lost_and_comes_back(self):
        # torchrun shares its first agent's store by default, which an agent that is new does not find.
        self.start("2", share_store=False, count=2)
        self.wait_for_step(10)
        self.agents[1 - self.rendezvous_host()].kill_machine()
        self.start("2", share_store=False)
        survivors = [agent for agent in self.agents if agent.process.poll() is None]
        self.assert_same_weights(self.finish(survivors), self.reference)
        self.assertGreaterEqual(self.starts()[-1], 10)

    def rendezvous_host(self):
        """Which agent listens at the endpoint: without it the others could not go on."""
        port = ":%04X" % int(self.endpoint.split(":")[1])
        inodes = {line.split()[9] for line in read_text("/proc/net/tcp").splitlines()
                  if line.split()[1].endswith(port) and line.split()[3] == "0A"}
        for index, agent in enumerate(self.agents):
            folder = "/proc/%d/fd" % agent.process.pid
            links = [os.readlink(folder + "/" + name) for name in os.listdir(folder) if os.path.exists(folder + "/" + name)]
            if any("socket:[%s]" % inode in links for inode in inodes):
                return index
        self.fail("no agent listens at " + self.endpoint)

    def test_three_machines_become_two(self):
        self.start("1:3", share_store=False, count=3)
        self.wait_for_step(5)
        until = time.monotonic() + 60
        while self.ranks()[-1] < 3:  # the first round may have begun without one
            self.assertLess(time.monotonic(), until, self.said())
            time.sleep(0.1)
        time.sleep(1)
        victim = next(i for i in range(3) if i != self.rendezvous_host())
        self.agents[victim].kill_machine()
        survivors = [agent for i, agent in enumerate(self.agents) if i != victim]
        self.assert_same_weights(self.finish(survivors), self.reference, tolerance=1e-3)
        self.assertEqual(self.ranks()[-2:], [3, 2])

    def test_another_launch_begins_another_run(self):
        for _ in range(2):
            self.endpoint = "127.0.0.1:%d" % free_port()
            first = len(self.agents)
            self.start("2", count=2)
            for agent in self.agents[first:]:
                agent.process.wait(timeout=200)
                self.assertEqual(agent.process.returncode, 0, self.said())
        self.assertEqual(sorted(os.listdir(self.out)), ["00000-tiny", "00001-tiny"])

    def test_a_stop_on_request_is_no_failure(self):
        self.start("2", count=2)
        self.wait_for_step(10)
        os.kill(self.agents[0].worker(), signal.SIGTERM)
        for agent in self.agents:
            agent.process.wait(timeout=60)
            self.assertEqual(agent.process.returncode, 0, self.said())
        start = json.loads(read_text(self.out + "/00000-tiny/run.json"))["starts"]
        self.assertEqual(len(start), 1)
        self.assertEqual(start[0]["end"]["how"], "stopped on request")
        self.assertTrue(os.path.exists(self.checkpoint(self.out + "/00000-tiny", start[0]["end"]["step"])))


if __name__ == "__main__":
    main()
