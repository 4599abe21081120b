"""Nominal command in, safe command out. Free of ROS; everything that guards the robot fails closed."""
