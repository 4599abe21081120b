"""What people see while the robot drives: shapes for RViz and who is silent. ROS-free; only listens."""
