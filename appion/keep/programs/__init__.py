"""Starting and ending daemons, and telling people."""
