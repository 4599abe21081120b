"""Systems whose avoid set is known exactly: what a learned reachability estimate is held against."""
