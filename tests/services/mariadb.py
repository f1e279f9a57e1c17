"""A private MariaDB server for tests: a child process, any user, up in a second, gone with the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pymysql

CLASSIC_SCHEMA = Path(__file__).parent.parent / "sinedon" / "data" / "classic-2016.sql"
DATABASES = ("leginondb", "projectdb", "ap1")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def findMariaDB() -> tuple[str, str] | None:
    """Return the server and its installer, or None where MariaDB is not installed."""
    server, installer = shutil.which("mariadbd", path=PATH), shutil.which("mariadb-install-db", path=PATH)
    return (server, installer) if server and installer else None


class MariaDB:
    """A server whose data live in `root`."""

    user = "usr_object"
    password = "se%cret"

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.port = 0
        self.socket = ""
        self.process: subprocess.Popen[bytes] | None = None
        self.tables: list[tuple] | None = None

    def start(self, timeout: float = 600, port: int | None = None) -> MariaDB:
        """Install the system tables where there are none, start the server and wait until it answers.

        Raises:
            RuntimeError: MariaDB is not installed, or the server ended or did not answer in time.
        """
        programs = findMariaDB()
        if programs is None:
            raise RuntimeError("MariaDB is not installed: apt-get install --no-install-recommends mariadb-server")
        self.root.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port or 0))
            self.port = probe.getsockname()[1]
        self.socket = str(self.root / "s")
        data = self.root / "data"
        common = ["--no-defaults", f"--user={getpass.getuser()}", f"--datadir={data}", "--innodb-log-file-size=10M"]
        if not data.exists():
            install = [programs[1], *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
            subprocess.run(install, check=True, capture_output=True, timeout=timeout)
        # A folder of its own for temporary tables: a server that starts empties the one it shares with others.
        (self.root / "tmp").mkdir(exist_ok=True)
        init = self.root / "init.sql"
        init.write_text(self._constructInit())
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [programs[0], *common, f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1",
                 f"--pid-file={self.root / 'pid'}", f"--tmpdir={self.root / 'tmp'}", "--skip-log-bin",
                 "--innodb-flush-log-at-trx-commit=0",
                 "--innodb-buffer-pool-size=64M", "--performance-schema=OFF", "--skip-name-resolve",
                 f"--init-file={init}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._waitForAnswer(timeout)
        return self

    def stop(self) -> None:
        """End the server; it loses nothing."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(30)

    def connect(self, database: str | None = None) -> pymysql.connections.Connection:
        """Return a connection as the tests' user."""
        return pymysql.connect(
            unix_socket=self.socket, user=self.user, password=self.password, database=database, autocommit=True,
            client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS,
        )  # fmt: skip

    def execute(self, *statements: str, database: str | None = None) -> list[tuple]:
        """Run statements and return the rows of the last one."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall() or ())
        finally:
            connection.close()

    def executeAsRoot(self, *statements: str) -> None:
        """Run statements that only the server's administrator may run."""
        root = pymysql.connect(unix_socket=self.socket, user="root", autocommit=True)
        try:
            with root.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            root.close()

    def dropDatabases(self) -> None:
        """Drop every database but the server's own, and create empty ones."""
        own = {"information_schema", "mysql", "performance_schema", "sys"}
        names = [row[0] for row in self.execute("SHOW DATABASES") if row[0] not in own]
        self.execute(*(f"DROP DATABASE `{name}`" for name in names))
        self.execute(*(f"CREATE DATABASE `{name}`" for name in DATABASES))

    def rememberTables(self) -> None:
        """Remember which tables and columns there are, for :meth:`emptyTables`."""
        self.tables = self._readColumns()

    def emptyTables(self) -> bool:
        """Empty all tables if they are those remembered; else change nothing and return False."""
        if self.tables != self._readColumns():
            return False
        filled = self.execute(
            f"SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN {DATABASES} "
            "AND (table_rows > 0 OR auto_increment > 1)"
        )
        self.execute(*(f"TRUNCATE `{database}`.`{table}`" for database, table in filled))
        return True

    def _readColumns(self) -> list[tuple]:
        own = "('information_schema', 'mysql', 'performance_schema', 'sys')"
        return self.execute(
            "SELECT table_schema, table_name, column_name, column_type FROM information_schema.columns "
            f"WHERE table_schema NOT IN {own} ORDER BY 1, 2, 3"
        )

    def loadClassicSchema(self) -> None:
        """Make the databases of a small classic installation of 2016: leginondb, projectdb and project 1's ap1."""
        self.dropDatabases()
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(CLASSIC_SCHEMA.read_text(encoding="latin-1"))
                while cursor.nextset():
                    pass
        finally:
            connection.close()

    def constructConfig(self, user: str = "") -> str:
        """Return the text of a `sinedon.cfg` for this server and the tests' user, or another of the same password."""
        password = self.password.replace("%", "%%")
        return (
            f"[global]\nhost: 127.0.0.1\nport: {self.port}\nuser: {user or self.user}\npasswd: {password}\n\n"
            "[leginondata]\ndb: leginondb\n\n[projectdata]\ndb: projectdb\n\n[appiondata]\n"
        )

    def _constructInit(self) -> str:
        """Return what the server runs at its start: the databases and a user of ours."""
        lines = [f"CREATE DATABASE IF NOT EXISTS `{name}`;" for name in DATABASES]
        for host in ("localhost", "127.0.0.1"):
            lines.append(f"CREATE USER IF NOT EXISTS '{self.user}'@'{host}' IDENTIFIED BY '{self.password}';")
            lines.append(f"GRANT ALL ON *.* TO '{self.user}'@'{host}' WITH GRANT OPTION;")
        return "\n".join(lines) + "\n"

    def _waitForAnswer(self, timeout: float) -> None:
        """Wait until the server listens; a log-in then waits for it to be ready."""
        assert self.process is not None
        end = time.monotonic() + timeout
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(self.socket) == 0:
                    break
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("MariaDB did not start:\n" + (self.root / "log").read_text()[-3000:])
            time.sleep(0.02)
        self.connect().close()


class Limited:
    """A user of the server whose rights are given and taken while a test runs; none at first."""

    account = "'limited'@'127.0.0.1'"

    def __init__(self, server: MariaDB) -> None:
        self.server = server
        server.executeAsRoot(f"DROP USER IF EXISTS {self.account}",
                             f"CREATE USER {self.account} IDENTIFIED BY '{server.password}'")  # fmt: skip

    def constructConfig(self) -> str:
        """Return the text of a `sinedon.cfg` by which databases are opened as this user."""
        return self.server.constructConfig("limited")

    def grant(self, what: str) -> None:
        """Give rights (``SELECT, INSERT ON ap1.*``); a connection that is open already does not have them."""
        self.server.executeAsRoot(f"GRANT {what} TO {self.account}")

    def revoke(self, what: str) -> None:
        """Take rights away, also from connections that are open: these are ended."""
        self.server.executeAsRoot(f"REVOKE {what} FROM {self.account}")
        self._endConnections()

    def lock(self) -> None:
        """Have the server let the user in no more."""
        self.server.executeAsRoot(f"ALTER USER {self.account} ACCOUNT LOCK")
        self._endConnections()

    def unlock(self) -> None:
        self.server.executeAsRoot(f"ALTER USER {self.account} ACCOUNT UNLOCK")

    def _endConnections(self) -> None:
        self.server.executeAsRoot("KILL USER limited")

    def drop(self) -> None:
        """Remove the user."""
        self.server.executeAsRoot(f"DROP USER {self.account}")
