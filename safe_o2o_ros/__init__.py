"""Safe offline-to-online vision policies for mobile robots on ROS 2."""

__version__ = "0.1.0"
