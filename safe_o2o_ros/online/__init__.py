"""The online part that needs neither torch nor ROS: from driving to the next bundle.

topics --joining.py--> transitions --data/experience.py--> store --worker.py--> learner process
       --candidate bundle--> gate.py --verdict.py--> offer.py --> running nodes; canary.py watches them
"""
