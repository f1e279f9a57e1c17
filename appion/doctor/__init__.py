"""`appion doctor`: looks at everything a run needs before it is started. Nothing is changed."""
