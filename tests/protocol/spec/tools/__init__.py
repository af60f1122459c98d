"""What the worker of these tests offers.

It runs in a process of its own. A test follows and holds its tools through a directory it names: they append to
files there, and wait for files to appear.
"""

# A worker offers what it finds declared in the module it is given.
# ruff: noqa: F403

from tests.protocol.spec.tools.asking import *
from tests.protocol.spec.tools.changes import *
from tests.protocol.spec.tools.files import *
from tests.protocol.spec.tools.headers import *
from tests.protocol.spec.tools.held import *
from tests.protocol.spec.tools.lasting import *
from tests.protocol.spec.tools.plain import *
from tests.protocol.spec.tools.prompts_and_resources import *
