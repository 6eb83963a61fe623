"""Have nginx pass requests on to where the processes of apps on the cluster are now."""

import os

from piku.deploy import live_sites
from piku.paths import Paths

if __name__ == "__main__":
    live_sites.update(Paths.from_environment(os.environ), print)
