"""Results of a session to take along: STAR files for RELION and CryoSPARC, tables, a report."""
