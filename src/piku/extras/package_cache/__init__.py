"""What pip has downloaded for one app serves all others (docs/adr/0032-shared-downloads.md).

`index` is an index of packages on the loopback, for the time of one `pip install`: its pages are
fetched anew, and the wheels that they name by their hashes come from `cache/@pip`. `pip` says when.
"""

from piku.extra import Extra

EXTRA = Extra(name="package_cache", around="piku.extras.package_cache.pip:around")
