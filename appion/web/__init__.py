"""The live page: what runs and how good it is, read from the databases and the run folders. It writes nothing there.

Only :mod:`appion.web.store.curation` does, if a site turns that on.
"""
