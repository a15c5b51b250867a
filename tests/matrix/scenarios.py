"""All rows of the matrix, in the order of the table."""
import pool_rows  # noqa: F401
import object_rows  # noqa: F401
import end_rows  # noqa: F401
import limit_rows  # noqa: F401
from stage import ROWS  # noqa: F401
