"""`runJob.py`: hands a program to the scheduler, as the web pages call it."""
