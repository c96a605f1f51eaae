"""`python -m telephony` runs the daemon."""

import sys

from telephony.daemon import main

if __name__ == "__main__":
    sys.exit(main())
