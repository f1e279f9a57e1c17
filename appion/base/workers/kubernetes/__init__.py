"""Workers that are pods of a Kubernetes cluster with Dask's operator."""
