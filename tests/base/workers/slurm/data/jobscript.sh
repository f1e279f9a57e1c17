#!/usr/bin/env bash

#SBATCH -J appion-run_1-c13f522d
#SBATCH -p gpu
#SBATCH -A cryoem
#SBATCH -n 1
#SBATCH --cpus-per-task=4
#SBATCH --mem=30G
#SBATCH -t 12:00:00
#SBATCH --qos=live
#SBATCH --no-requeue
#SBATCH --output='/data/my session/run 1/logs/appion-run_1-c13f522d-%j.log'
#SBATCH --gres=gpu:1
#SBATCH --exclude=n7,n2
export PATH='/opt/programs with blank:/usr/bin'
export DASK_APPION__POLL=7
export APPION_JOB_END=$(($(date +%s) + 43200))
module load cuda
exec /opt/python -m distributed.cli.dask_worker tcp://10.0.0.1:4711 --name appion-5 --nthreads 1 --memory-limit 29.80GiB --no-nanny --death-timeout 60 --local-directory /scratch --memory-limit 0 --no-dashboard --worker-class appion.base.workers.doors.ClosedWorker --preload appion.base.workers.jobs.jobworker --interface ib0
