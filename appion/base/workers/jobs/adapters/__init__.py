"""The job schedulers that workers may be jobs of: an adapter each."""

from __future__ import annotations

from appion.base.workers.jobs.adapter import Adapter
from appion.base.workers.jobs.adapters.gridengine import GridEngine
from appion.base.workers.jobs.adapters.htcondor import HTCondor
from appion.base.workers.jobs.adapters.lsf import LSF
from appion.base.workers.jobs.adapters.oar import OAR
from appion.base.workers.jobs.adapters.pbs import PBS
from appion.base.workers.jobs.adapters.slurm import Slurm

SLURM = Slurm()

#: By their names in `appion.cluster`.
ADAPTERS: dict[str, Adapter] = {one.name: one for one in (SLURM, GridEngine(), PBS(), LSF(), HTCondor(), OAR())}
