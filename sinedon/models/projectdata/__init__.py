"""Projects, their Leginon sessions and their Appion databases."""

from sinedon.fields import Boolean, Reference, Text
from sinedon.models.base import Row

__all__ = ["privileges", "processingdb", "projectexperiments", "projectowners", "projects"]


class ProjectRow(Row):
    """A row of the project database."""

    class Meta(Row.Meta):
        abstract = True
        app_label = "projectdata"


class projects(ProjectRow):
    name = Text(length=255)
    short_description = Text()
    long_description = Text()
    category = Text()
    funding = Text()
    leginondb = Text(length=50)
    hidden = Boolean()


class projectexperiments(ProjectRow):
    """Which session belongs to which project."""

    project = Reference("projects")
    session = Reference("leginondata.SessionData")


class processingdb(ProjectRow):
    """The Appion database of a project: the newest row counts."""

    project = Reference("projects")
    appiondb = Text(length=50)


class projectowners(ProjectRow):
    project = Reference("projects")
    user = Reference("leginondata.UserData")


class privileges(ProjectRow):
    description = Text()
    groups = Boolean()
    users = Boolean()
    projects = Boolean()
    projectowners = Boolean()
    shareexperiments = Boolean()
    data = Boolean()
    gridboxes = Boolean()
