"""Workers that are jobs of Slurm."""
