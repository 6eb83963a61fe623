"""A line in the push for a file of the app that does not count, though it may look so.

Two files for the same thing, such as pom.xml beside build.gradle; packages that were committed; a
requirement that follows a branch. `notes` finds them in the listing of the commit.
"""

from piku.extra import Extra

EXTRA = Extra(name="files_in_use", check="piku.extras.files_in_use.notes:check")
