"""carbonedge.py: the step as a command that follows a session."""

from collections.abc import Sequence

from appion.base.cli.measurement import constructCommand
from appion.base.cli.options import Parser
from appion.base.cli.wiring import runStep
from edgestep import STEP
from edgestep.edge import measureEdge


def addOptions(parser: Parser) -> None:
    group = parser.add_argument_group("edge")
    group.add_argument("--blocks", type=int, choices=(16, 32, 64, 128), default=64, metavar="NUMBER",
                       help="blocks along the shorter side of a micrograph: 16, 32, 64 or 128")  # fmt: skip


COMMAND = constructCommand(
    STEP, measureEdge, version="1", addOptions=addOptions,
    description="Watch a Leginon session and measure the contrast of the carbon's edge in every new micrograph.",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done or stopped, 1 broken off, 2 something a person has to mend."""
    return runStep(COMMAND, argv)
