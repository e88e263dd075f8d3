"""One module a figure, and the style they share."""

import logging

# Where the home can't be written to, matplotlib has a folder of its own that it removes: that is no news.
logging.getLogger("matplotlib").addFilter(lambda record: record.levelno >= logging.ERROR)
