"""Reading CryoSPARC's job and session folders: tables, sessions, matching. Neither Django nor a program is needed."""
