"""The rows in the order in which they are tried, all before those of the core."""

from piku.extras.languages.dotnet import DOTNET
from piku.extras.languages.elixir import ELIXIR
from piku.extras.languages.javascript import BUN, DENO
from piku.extras.languages.python import HATCH, PDM

ROWS = (ELIXIR, DOTNET, PDM, HATCH, BUN, DENO)
