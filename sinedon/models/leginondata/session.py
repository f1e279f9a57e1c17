"""Sessions and who and what they were made with."""

from sinedon.fields import Boolean, Double, Integer, Reference, Text
from sinedon.models.leginondata.base import InSession, LeginonRow


class GroupData(LeginonRow):
    name = Text()
    description = Text()
    privilege = Reference("projectdata.privileges")


class UserData(LeginonRow):
    username = Text(length=24)
    firstname = Text(length=24)
    lastname = Text(length=24)
    password = Text(length=32)
    email = Text(length=60)
    group = Reference("GroupData")
    noleginon = Boolean()
    advanced = Boolean()


class GridHolderData(LeginonRow):
    name = Text()
    hidden = Boolean()


class InstrumentData(LeginonRow):
    """A microscope or a camera on a host; `cs` in m."""

    name = Text()
    hostname = Text()
    type = Text()
    description = Text()
    scope = Text()
    camera = Text()
    camera_size = Integer("camera size")
    camera_pixel_size = Double("camera pixel size")
    cs = Double()
    pixelmax = Integer()
    hidden = Boolean()


class SessionData(LeginonRow):
    name = Text()
    user = Reference("UserData")
    image_path = Text("image path")
    frame_path = Text("frame path")
    comment = Text()
    hidden = Boolean()
    instrument = Reference("InstrumentData")
    holder = Reference("GridHolderData")
    uid = Integer()
    gid = Integer()


class SessionDoneLog(InSession):
    """Whether a session has been declared finished; the newest row counts."""

    done = Boolean()
    user = Reference("UserData")


class BufferHostData(LeginonRow):
    """A host that keeps a camera's movies until they are moved to the session's frame path."""

    ccdcamera = Reference("InstrumentData")
    buffer_hostname = Text("buffer hostname")
    buffer_base_path = Text("buffer base path")
    append_full_head = Boolean("append full head")
    disabled = Boolean()


class BufferFramePathData(InSession):
    host = Reference("BufferHostData")
    buffer_frame_path = Text("buffer frame path")
