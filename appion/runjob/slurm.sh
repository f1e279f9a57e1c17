#!/bin/bash
#SBATCH --job-name={{ job_name }}
#SBATCH --open-mode=append
{{ directives }}

# What the program prints; what Slurm itself has to say is in slurm-<job id>.out beside it.
exec >> {{ log }} 2>&1
cd {{ rundir }} || exit 1

# The commands of the installation that submitted the job.
export PATH={{ path }}:"$PATH"

# exec: what Slurm tells the job (to end, at the latest) is told to the program.
exec {{ command }}
