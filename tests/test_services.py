"""The services that other tests stand on."""


def testASlurmOfOurOwnRunsJobsOnItsGPUs(slurmcluster, tmp_path):
    script = f'echo "$(hostname) $CUDA_VISIBLE_DEVICES" > {tmp_path}/$SLURM_JOB_ID; sleep 0.3'
    jobs = [slurmcluster.submit(script, "--gres=gpu:1") for _ in range(3)]
    assert [slurmcluster.awaitJob(job) for job in jobs] == ["COMPLETED"] * 3
    assert {(tmp_path / str(job)).read_text().split()[1] for job in jobs} <= {"0", "1"}


def testItsControllerMayRestartWhileJobsRun(slurmcluster):
    job = slurmcluster.submit("exec sleep 60")
    slurmcluster.awaitJob(job, {"RUNNING"})
    slurmcluster.stopController()
    slurmcluster.startController()
    assert slurmcluster.awaitJob(job, {"RUNNING"})
    slurmcluster.heal()
    assert slurmcluster.listJobs() == {}
