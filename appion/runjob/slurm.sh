#!/bin/bash
#SBATCH --job-name={{ job_name }}
#SBATCH --open-mode=append
{{ directives }}

# The commands of the installation that submitted the job.
export PATH={{ path }}:"$PATH"

# Where the program cannot be started nobody else would say so: its row in the database becomes E.
giveUp() {
    echo "$(date '+%F %T') job ${SLURM_JOB_ID:-?} on $(uname -n): $1"
    {{ give_up }}
    exit "${2:-1}"
}
shopt -s execfail

# What the program prints; what Slurm itself has to say is in slurm-<job id>.out beside it.
exec >> {{ log }} 2>&1 || giveUp "the log of the program cannot be written on this node"
cd {{ rundir }} || giveUp "the run folder is not there on this node"

# exec: what Slurm tells the job (to end, at the latest) is told to the program.
exec {{ command }}
giveUp "the program was not started, see above" $?
