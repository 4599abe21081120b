"""Logs of driven episodes, and the report made of them.

`write_report` and `print_table` import their libraries when called, so logs and records stay cheap to import.
"""

from safe_o2o_ros.report.table import print_table
from safe_o2o_ros.report.write import ReportPaths, write_report

__all__ = ["ReportPaths", "print_table", "write_report"]
