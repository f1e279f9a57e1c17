"""python -m appion.cli"""

import sys

from appion.cli import main

sys.exit(main())
