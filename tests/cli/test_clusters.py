"""What clusters set is understood, and the job script starts again when it should."""

import os
import stat
import subprocess

from harness import SOURCE, CliTest, clean_environment, main, read_text

BATCH = {"SLURM_JOB_ID": "4242", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NNODES": "1",
         "SLURM_TASKS_PER_NODE": "1", "SLURM_JOB_NODELIST": "node017"}
INTERACTIVE = dict(BATCH, SLURM_STEP_ID="4294967290", SLURM_STEP_NUM_TASKS="1", SLURM_NTASKS="4")


class ClustersTest(CliTest):
    def test_a_batch_script_is_one_process(self):
        config = self.tiny(self.dir)
        done = self.gigacat("train", config, "train.steps=2", env=BATCH)
        self.assertIn("processes: 1: SLURM job 4242, but no task of srun (SLURM_STEP_ID is not set)", done.stderr)
        done = self.gigacat("sample", self.run_folder(self.dir), "-o", self.path("s.png"), "--count", 2, env=INTERACTIVE)
        self.assertIn("SLURM_STEP_ID is 4294967290, an interactive step", done.stderr)

    def test_ranks_in_a_job_of_one_task(self):
        config = self.tiny(self.dir)
        done = self.gigacat("train", config, "train.steps=2", "--ranks", 2, env=dict(BATCH, SLURM_NTASKS="1"))
        self.assertIn("processes: 2, by --ranks", done.stderr)

    def test_contradictions_are_refused(self):
        message = self.refused("train", self.tiny(self.dir), env=dict(
            BATCH, SLURM_STEP_ID="0", SLURM_PROCID="2", SLURM_STEP_NUM_TASKS="4", RANK="0", WORLD_SIZE="1"))
        self.assertIn("RANK=0 of WORLD_SIZE=1 contradicts SLURM_PROCID=2 of SLURM_STEP_NUM_TASKS=4", message)

    def program(self, name, lines):
        path = self.write(name, "#!/bin/bash\n" + lines + "\n")
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)

    def test_the_job_script_starts_again(self):
        os.mkdir(self.path("bin"))
        self.program("bin/srun", 'shift; echo "$@" >> %s; exit "$(cat %s)"' % (self.path("srun"), self.path("code")))
        self.program("bin/scontrol", '[[ $1 == show ]] && echo node1 || echo "$@" >> %s' % self.path("requeued"))
        env = clean_environment({
            "PATH": self.path("bin") + ":" + os.environ["PATH"], "TEXT_IMAGES": "t", "CLIP_L14": "c",
            "CLIP_VOCABULARY": "v", "OUT": self.dir, "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node1"})
        counts = []
        # Done, usage error, time limit, then a rank that is killed again and again, and a time limit between.
        for code in (0, 2, 85, 137, 1, 137, 85, 137, 137, 137, 137, 137, 137):
            self.write("code", str(code))
            done = subprocess.run(["bash", SOURCE + "/scripts/slurm/gigagan-64.sbatch", "train.steps=9"], env=env,
                                  check=False)
            self.assertEqual(done.returncode, code)
            requeued = self.path("requeued")
            counts.append(len(read_text(requeued).splitlines()) if os.path.exists(requeued) else 0)
        self.assertEqual(counts, [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9])
        self.assertIn("train configs/gigagan/base-64.yaml out=%s train.steps=9 --resume latest" % self.dir,
                      read_text(self.path("srun")))


if __name__ == "__main__":
    main()
